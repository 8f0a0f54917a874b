"""How hard to try: by default for a minute, with `--long` or a path for two or three; `HYPOTHESIS_PROFILE=campaign` takes the night.

Laws that are cheap to try (`tries.py`) are tried so many times more or less, too, but
no more often in a campaign. `--only-long` runs these tests again, as `--long` does.

A failure prints the falsifying example and a `@reproduce_failure` line; put it on the test to see it again anywhere.
"""

import os

from hypothesis import HealthCheck, Phase, settings

_COMMON = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    # Without `explain`, whose tracing makes a failing log take minutes to shrink.
    "phases": [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
}
settings.register_profile("default", max_examples=40, **_COMMON)
settings.register_profile("long", max_examples=100, **_COMMON)
settings.register_profile("campaign", max_examples=20_000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
