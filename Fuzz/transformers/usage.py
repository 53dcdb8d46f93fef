"""What ends a run: printed in one line, exit status 2."""


class Usage(Exception):
    """What is wrong with what was asked."""


class Broken(Exception):
    """Why the run could not go on."""
