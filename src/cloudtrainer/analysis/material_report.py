"""What the summary, the report and the methods say of the particle and its medium."""

from typing import Any

from cloudtrainer.analysis.material import MaterialFindings
from cloudtrainer.diffusion import BOLTZMANN, Estimate
from cloudtrainer.figures import display_unit, with_interval
from cloudtrainer.report import ReportTable

_ENTRY = {
    "viscosity": "measured_viscosity_Pa_s",
    "hydrodynamic radius": "measured_hydrodynamic_radius_um",
    "Boltzmann constant": "measured_Boltzmann_constant_J_per_K",
    "free diffusion coefficient": "free_D_um2_per_s",
}
# D is a mean over the particles; what goes as its inverse is a harmonic mean.
_HARMONIC = {
    "hydrodynamic radius": "harmonic mean over the particles, 1/<1/a>",
    "viscosity": "harmonic mean over the particles, for the harmonic mean radius",
}


def material_entry(findings: MaterialFindings, D: Estimate) -> dict[str, Any]:
    """Return what ``summary.json`` says of the material."""
    given = findings.given
    entry: dict[str, Any] = {
        "temperature_K": given.temperature_K,
        "temperature_error_K": given.temperature_error_K,
        "particle_radius_um": given.particle_radius_um,
        "particle_radius_relative_error": given.particle_radius_relative_error,
        "viscosity_Pa_s": given.viscosity_Pa_s,
        "viscosity_relative_error": given.viscosity_relative_error,
        "wall_distance_um": given.wall_distance_um,
        "static_error_um": given.static_error_um,
    }
    for found in (findings.from_diffusion, findings.free):
        if found is not None:
            entry[_ENTRY[found.quantity]] = {
                "value": found.value,
                "standard_error": found.standard_error,
                "low": found.low,
                "high": found.high,
                "unit": found.unit,
                "wall_factor": found.wall_factor,
            }
            if found.quantity in _HARMONIC:
                entry[_ENTRY[found.quantity]]["mean"] = _HARMONIC[found.quantity]
    if findings.free is not None:
        entry["D_over_free"] = D.value / findings.free.value
    if findings.moduli is not None:
        entry["moduli"] = {
            "table": "moduli.csv",
            "msd_offset_um2": findings.moduli.offset_um2,
            "particles": findings.moduli.particles,
        }
    return entry


def material_rows(findings: MaterialFindings) -> list[tuple[str, object, str]]:
    """Return what is known and found, as name, value and unit."""
    given = findings.given
    rows: list[tuple[str, object, str]] = [
        ("temperature", given.temperature_K, "K"),
        ("standard error of the temperature", given.temperature_error_K, "K"),
        ("particle radius", given.particle_radius_um, "um"),
        ("relative standard error of the radius", given.particle_radius_relative_error, "1"),
        ("viscosity of the medium", given.viscosity_Pa_s, "Pa s"),
        ("relative standard error of the viscosity", given.viscosity_relative_error, "1"),
        ("distance from the wall", given.wall_distance_um, "um"),
        ("static localisation error", given.static_error_um, "um"),
    ]
    return [row for row in rows if row[1]]


def material_table(material: MaterialFindings) -> tuple[ReportTable, ...]:
    """Return what is known of the particle and the medium, and what D says of the rest."""
    rows: list[tuple[object, ...]] = [
        (name, value, f"given, {unit}" if unit != "1" else "given")
        for name, value, unit in material_rows(material)
    ]
    if not rows:
        return ()
    rows += [
        (
            f"{found.quantity} ({display_unit(found.unit)})",
            with_interval(found.value, found.low, found.high, "1"),
            "D = k_B T / (6 pi viscosity radius)"
            + f", times {found.wall_factor:.3f} by the wall" * (found.wall_factor != 1)
            + (f"; {_HARMONIC[found.quantity]}" if found.quantity in _HARMONIC else ""),
        )
        for found in (material.free, material.from_diffusion)
        if found is not None
    ]
    if material.free is not None and material.from_diffusion is not None:
        ratio = material.from_diffusion
        rows.append(
            (
                "D measured over D free",
                with_interval(
                    ratio.value / BOLTZMANN, ratio.low / BOLTZMANN, ratio.high / BOLTZMANN, "1"
                ),
                "1 if calibration, temperature, radius and viscosity are right, and motion is free",
            )
        )
    return (ReportTable("The particle and the medium", ("what", "value", "note"), tuple(rows)),)


def material_methods(material: MaterialFindings) -> list[str]:
    """Return sentences for the methods of a paper."""
    parts = []
    found, free, moduli = material.from_diffusion, material.free, material.moduli
    if found is not None and free is None:
        parts.append(
            f"The {found.quantity} followed from D by the Stokes-Einstein relation at "
            f"{_conditions(material)}"
            + (f": the {_HARMONIC[found.quantity]}." if found.quantity in _HARMONIC else ".")
        )
    if free is not None:
        parts.append(
            f"In the free medium such a particle would have D = {free.value:.4g} µm²/s by the "
            f"Stokes-Einstein relation, at {_conditions(material)}."
        )
    if moduli is not None:
        parts.append(
            "G' and G'' were computed from the mean squared displacement by the generalised "
            "Stokes-Einstein relation (Mason & Weitz 1995, Phys. Rev. Lett. 74, 1250), transformed "
            "as by Evans et al. 2009 (Phys. Rev. E 80, 012501), at "
            f"{material.given.temperature_K:.5g} K and a particle radius of "
            f"{material.given.particle_radius_um:.4g} µm"
            + (
                f", an offset of {moduli.offset_um2:.3g} µm² taken out"
                if moduli.offset_um2
                else ", nothing taken out of it"
            )
            + (" and motion blur put back." if moduli.exposure_s else ".")
        )
    return parts


def _conditions(material: MaterialFindings) -> str:
    """Return temperature, radius and viscosity, as far as they were given."""
    given = material.given
    said = [f"{given.temperature_K:.5g} K"]
    if given.particle_radius_um is not None:
        said.append(f"a particle radius of {given.particle_radius_um:.4g} µm")
    if given.viscosity_Pa_s is not None:
        said.append(f"a viscosity of {given.viscosity_Pa_s:.4g} Pa s")
    *most, last = said
    return f"{', '.join(most)} and {last}" if most else last
