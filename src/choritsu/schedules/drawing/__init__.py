"""Schedules as pictures, in a terminal and on paper, and read from a line of text."""
