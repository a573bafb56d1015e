"""The last module that the fork server imports: all that is there by then stays.

No worker looks through it for garbage, so their memory stays shared, and the server itself ends at once.
"""

import gc

gc.freeze()
