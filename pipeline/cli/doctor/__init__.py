"""The command `doctor`: what works on this machine, in ten lines."""
