"""The package as a whole: what importing it costs, the names it hands out, what it declares."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

import cloudtrainer

ROOT = Path(cloudtrainer.__file__).parents[2]
HEAVY = {"torch", "lightning", "torchmetrics", "trackpy", "matplotlib", "bioio", "av", "pandas"}

PUBLIC = {
    "Analysis",
    "CalibrationError",
    "CloudTrainerError",
    "Config",
    "ConfigError",
    "LabelError",
    "ModelError",
    "ParticleDetector",
    "Video",
    "VideoError",
    "Workspace",
    "WorkspaceError",
    "analyze",
    "calculate_msd",
    "extract_particles_from_predictions",
    "fit_diffusion_models",
    "load_model",
    "track_particles",
    "train",
    "visualize_msd_analysis",
    "visualize_tracking_results",
}


def modules_after(code: str) -> set[str]:
    """Run ``code`` in a fresh interpreter; return the top-level modules it leaves imported."""
    report = "import sys; print('MODULES', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("MODULES")[2].split())


def test_importing_the_package_imports_nothing_heavy():
    assert modules_after("import cloudtrainer; dir(cloudtrainer)").isdisjoint(HEAVY | {"numpy"})


def test_help_of_the_command_line_imports_nothing_heavy():
    code = """
import sys
sys.argv = ["cloudtrainer", "--help"]
from cloudtrainer.cli import main
try:
    main()
except SystemExit as end:
    if end.code not in (0, None):
        raise
"""
    assert modules_after(code).isdisjoint(HEAVY)


@pytest.mark.parametrize("verb", ["init", "simulate", "train", "analyze", "demo", "info"])
def test_help_lists_every_verb(verb):
    done = subprocess.run(
        [sys.executable, "-c", "from cloudtrainer.cli import main; main()", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(rf"\b{verb}\b", done.stdout)


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("config", {"torch", "numpy", "pandas"}),
        ("workspace", {"torch", "numpy", "pandas"}),
        ("video", {"torch", "bioio", "av", "trackpy"}),
        ("diffusion", {"torch", "trackpy", "matplotlib"}),
        ("tracking", {"torch", "matplotlib"}),
        ("inference", {"lightning", "trackpy", "bioio", "matplotlib"}),
        ("training", {"trackpy", "bioio", "av"}),
    ],
)
def test_a_room_spares_what_it_does_not_need(module, spared):
    assert modules_after(f"import cloudtrainer.{module}").isdisjoint(spared)


def test_public_names_are_those_promised():
    assert set(cloudtrainer.__all__) >= PUBLIC | {"__version__"}
    assert set(dir(cloudtrainer)) >= PUBLIC


@pytest.mark.parametrize("name", sorted(set(cloudtrainer.__all__)))
def test_every_public_name_resolves(name):
    value = getattr(cloudtrainer, name)
    if name == "__version__":
        assert re.fullmatch(r"\d+\.\d+\.\d+(\w+)?", value)
    else:
        assert value.__name__ == name
        assert value.__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Detektor'"):
        _ = cloudtrainer.Detektor


def test_version_is_that_of_the_installed_distribution():
    assert cloudtrainer.__version__ == version("deeptrack-cloud-trainer")


def imported_by_the_package() -> set[str]:
    names = set()
    for path in (ROOT / "src" / "cloudtrainer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(str(node.module).partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"cloudtrainer"}


def plain(name: str) -> str:
    """Return a distribution's name as PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name)[0]).lower()


def test_what_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = list(project["dependencies"])
    for extra, wanted in project["optional-dependencies"].items():
        declared += wanted if extra != "dev" else []
    owners = packages_distributions()
    undeclared = {
        module
        for module in imported_by_the_package()
        if not {plain(owner) for owner in owners.get(module, [module])}
        & {plain(wanted) for wanted in declared}
    }
    assert undeclared == set()


def test_every_module_imports():
    for path in (ROOT / "src" / "cloudtrainer").rglob("*.py"):
        parts = path.relative_to(ROOT / "src").with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if parts[-1] != "__main__":
            importlib.import_module(".".join(parts))


def test_constraints_pin_every_dependency_that_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert all("+" not in pin for pin in pins.values())
    wanted = list(project["dependencies"])
    for group in project["optional-dependencies"].values():
        wanted += [name for name in group if not name.startswith(project["name"])]
    assert {plain(name) for name in wanted} - {plain(name) for name in pins} == set()
