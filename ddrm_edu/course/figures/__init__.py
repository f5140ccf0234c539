"""Figures of the lectures, each in the file of the lecture that shows it; they compute nothing."""
