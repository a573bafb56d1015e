"""Through here everything trains: a network of this project, or a training loop of the user's own.

`network.py` is the page of the first; `user_loop.py` that of the others, of which `function.py` and
`command.py` are the kinds. A user's function imports `not_counted` from here.
"""

from pipeline.trial.loop_clock import not_counted

__all__ = ["not_counted"]
