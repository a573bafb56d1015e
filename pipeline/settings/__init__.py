"""Every value that may be set, as typed dataclasses; each module holds a family of the groups of conf/."""
