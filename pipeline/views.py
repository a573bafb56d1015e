LINE_ROLE = "frontier_line"


def cost_unit(s):
    return ("ms", 1e3) if s >= 0.1 else ("us", 1e6)


def trial_tags(results, tried):
    on = any(m.tried.number == tried.number for m in results.members())
    return {"frontier": str(on).lower()}


def line_tags():
    return {"role": LINE_ROLE}


def line_points(steps, unit):
    return [(max(1, round(p.device_seconds * unit[1])), p.accuracy) for p in steps]


def plant(*a):
    return "http://x"
