"""Examples that hypothesis finds are the same in every run; HYPOTHESIS_PROFILE=wild looks anew."""

import os

from hypothesis import Phase, settings

STEPS = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
settings.register_profile("steady", derandomize=True, deadline=None, database=None, phases=STEPS)
settings.register_profile("wild", deadline=None, phases=STEPS)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
