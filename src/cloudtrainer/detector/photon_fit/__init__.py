"""Positions of spots from a fit to their photons, where it is sharper than the network."""

from cloudtrainer.detector.photon_fit.appearance import Appearance
from cloudtrainer.detector.photon_fit.measure import measure_appearance
from cloudtrainer.detector.photon_fit.refine import refine
from cloudtrainer.detector.photon_fit.seen import Seen

__all__ = ["Appearance", "Seen", "measure_appearance", "refine"]
