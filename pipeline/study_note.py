def note(results, link, run_id):
    return link
