"""Processes of their own, for what may end them."""

import json
import os
import resource
import sys


def in_process(body, seconds=None, words=None):
    """How a process of its own ends in which `body` is called, as `waitpid` says it, and what that returns, where it
    ends by 0. `seconds`: of the processor, after which it is ended. `words`: the file that gets what it says of errors.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if seconds is not None:
                resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            os.close(reading)
            if words is not None:
                os.dup2(words.fileno(), 2)
            with os.fdopen(writing, "w") as file:
                json.dump(body(), file)
            os._exit(0)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    return status, json.loads(text) if status == 0 else None
