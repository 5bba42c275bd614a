"""What the photons of spots say that a network does not: sharper positions, surer answers."""

from cloudtrainer.detector.photon_fit.appearance import Appearance
from cloudtrainer.detector.photon_fit.measure import measure_appearance
from cloudtrainer.detector.photon_fit.population import with_population
from cloudtrainer.detector.photon_fit.refine import refine
from cloudtrainer.detector.photon_fit.seen import Seen, with_doubt
from cloudtrainer.detector.photon_fit.weigh import weigh

__all__ = [
    "Appearance",
    "Seen",
    "measure_appearance",
    "refine",
    "weigh",
    "with_doubt",
    "with_population",
]
