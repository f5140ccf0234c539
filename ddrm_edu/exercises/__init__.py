"""Exercises of the lectures: answers are examined on generic cases, mistakes have their hints."""

from .engine import EXERCISES, Exercise, Mistake, NotYet, exercise, load, question

__all__ = ["EXERCISES", "Exercise", "Mistake", "NotYet", "exercise", "load", "question"]
