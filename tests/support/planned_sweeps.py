"""An import of the fork server of killed sweeps: what a small sweep composes is composed by then.

It is a quarter of the CPU seconds of such a sweep, and each start after a kill would spend them again.
"""

from pipeline.cli.sweep.plan import make_plan

make_plan(("search=smoke", "device=cpu"))
