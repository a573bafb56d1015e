"""The device that a trial holds: its clock, its cores, its energy, who else used it."""
