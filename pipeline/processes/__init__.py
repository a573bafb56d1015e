"""Who owns what, what a process has started; variables, garbage and late modules of the own one."""
