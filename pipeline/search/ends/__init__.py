"""How a search ends: when its frontier has stood still, and what comes after it."""
