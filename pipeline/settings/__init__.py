"""Every value that may be set, as typed dataclasses: one module a family of groups of conf/."""
