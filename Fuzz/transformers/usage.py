"""Errors of whoever called."""


class Usage(Exception):
    """What is wrong with what was asked, in one line: exit status 2."""
