"""What ``peers_law.py`` compares: problems, our samplers, adapters of theirs, comparisons."""
