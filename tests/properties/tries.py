"""How often cheap laws are tried, beside those that are tried as often as the profile says."""

from hypothesis import settings

CAMPAIGN = settings.get_current_profile_name() == "campaign"
TRIES = min(settings.default.max_examples, 100)
"""To be multiplied. A campaign tries them as often as `--long`: its night is for the engine."""
