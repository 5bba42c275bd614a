"""The form: every setting as a widget, with its help, and a plain message beside a wrong value."""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import panel as pn

from cloudtrainer.atomic import write_json
from cloudtrainer.config import Config
from cloudtrainer.errors import ConfigError
from cloudtrainer.studio.fields import ADVANCED, FormField, faults, form_fields
from cloudtrainer.studio.look import CARD, FIELD_CSS, sentence
from cloudtrainer.studio.presets import AS_SET, PRESETS, preset_of, with_preset

_WIDTH = 262
_FOLDED = ("Augmentation",)


class SettingsForm:
    """The settings as widgets.

    Parameters
    ----------
    config : Config, optional
        What is shown at first; default: the defaults.
    names : sequence of str, optional
        Show these settings only, without headings and presets; the others keep the values of
        ``config``.

    Attributes
    ----------
    widgets : dict
        The widget of each setting shown, by its name ``section.key``.
    layout : Panel
        What is shown in a cell or on a page.
    """

    def __init__(self, config: Config | None = None, *, names: Sequence[str] | None = None) -> None:
        self.fields = {
            name: field for name, field in form_fields().items() if names is None or name in names
        }
        self._base = (config or Config()).to_dict()
        self._told: list[Callable[[], None]] = []
        self._quiet = False
        self.widgets: dict[str, Any] = {}
        self.notes: dict[str, Any] = {}
        for name, field in self.fields.items():
            self.widgets[name] = _widget(field)
            self.notes[name] = pn.pane.HTML("", width=_WIDTH, margin=(0, 10, 6, 10))
        self.presets = pn.widgets.Select(
            label="Preset", options=[AS_SET, *PRESETS], value=AS_SET, width=220
        )
        self.trouble = pn.pane.HTML("", sizing_mode="stretch_width")
        self._faults: dict[str, str] = {}
        self._save = pn.widgets.FileDownload(
            label="Save config.json", filename="config.json", callback=self._as_file, width=160,
            align="end",
        )  # fmt: skip
        self._load = pn.widgets.FileInput(accept=".json", width=240, margin=(3, 10))
        self.config = config or Config()
        for widget in self.widgets.values():
            widget.param.watch(self._changed, "value")
        self.presets.param.watch(self._preset_chosen, "value")
        self._load.param.watch(self._file_given, "value")
        self.layout = (
            self._all_groups()
            if names is None
            else pn.Column(
                self.trouble, self._cells(list(self.fields)), sizing_mode="stretch_width"
            )
        )

    @property
    def config(self) -> Config:
        """The settings that the widgets hold.

        Raises
        ------
        ConfigError
            A value is not valid; the message names them all.
        """
        return Config.from_dict(self._values())

    @config.setter
    def config(self, config: Config) -> None:
        self._base = config.to_dict()
        self._quiet = True
        try:
            for name, field in self.fields.items():
                section, _, key = name.partition(".")
                self.widgets[name].value = field.show(self._base[section][key])
        finally:
            self._quiet = False
        self._changed()

    @property
    def faults(self) -> dict[str, str]:
        """What is wrong, by setting (or section, where settings contradict each other)."""
        return dict(self._faults)

    def on_change(self, tell: Callable[[], None]) -> None:
        """Call a function whenever a value has changed."""
        self._told.append(tell)

    def save(self, path: str | Path) -> None:
        """Write the settings as a ``config.json``.

        Raises
        ------
        ConfigError
            A value is not valid.
        """
        write_json(Path(path), self.config.to_dict())

    def load(self, path: str | Path) -> None:
        """Take the settings of a ``config.json`` of this or an earlier version.

        Raises
        ------
        ConfigError
            The file is no such file; the widgets are as they were.
        """
        self.config = Config.load(path)

    def _values(self) -> dict[str, dict[str, Any]]:
        values = {section: dict(keys) for section, keys in self._base.items()}
        for name, field in self.fields.items():
            section, _, key = name.partition(".")
            values[section][key] = field.read(self.widgets[name].value)
        return values

    def _changed(self, *_: Any) -> None:
        if self._quiet:
            return
        self._faults = faults(self._values())
        for name, field in self.fields.items():
            self.notes[name].object = _note(field, self._faults.get(name))
        # Also above, for a wrong value may stand in a part that is folded away.
        lines = [
            f"{self.fields[name].label if name in self.fields else name}: {text}"
            for name, text in self._faults.items()
        ]
        self.trouble.object = sentence("\n".join(lines), "wrong") if lines else ""
        if not self._faults:
            self._quiet = True
            self.presets.value = preset_of(self.config)
            self._quiet = False
        for tell in self._told:
            tell()

    def _preset_chosen(self, event: Any) -> None:
        if self._quiet or event.new == AS_SET:
            return
        try:
            self.config = with_preset(self.config, event.new)
        except ConfigError:
            # The message beside the wrong value is there already.
            self.presets.value = AS_SET

    def _as_file(self) -> Any:
        import io
        import json

        try:
            text = json.dumps(self.config.to_dict(), indent=2, ensure_ascii=False)
        except ConfigError as error:
            self._complain(f"Not saved: {error}")
            raise
        return io.BytesIO(text.encode())

    def _file_given(self, event: Any) -> None:
        import json

        if not event.new:
            return
        name = str(self._load.filename)
        try:
            values = json.loads(event.new.decode("utf-8-sig"))
            if not isinstance(values, dict):
                raise ConfigError("holds no settings")
            self.config = Config.from_dict(values)
        except (ValueError, RecursionError):
            self._complain(f"{name}: is no JSON file; the settings are as they were")
        except ConfigError as error:
            self._complain(f"{name}: {error}; the settings are as they were")

    def _complain(self, text: str) -> None:
        self.trouble.object = sentence(text, "wrong")

    def _all_groups(self) -> Any:
        groups: dict[str, list[str]] = {}
        for name, field in self.fields.items():
            groups.setdefault(field.group, []).append(name)
        advanced = groups.pop(ADVANCED)
        cards = [
            _folded(group, [self._cells(names)])
            if group in _FOLDED
            else pn.Card(self._cells(names), title=group, collapsible=False, **CARD)
            for group, names in groups.items()
        ]
        sections: dict[str, list[str]] = {}
        for name in advanced:
            sections.setdefault(name.partition(".")[0], []).append(name)
        folded: list[Any] = []
        for section, names in sections.items():
            heading = f"<b>{section.capitalize()}</b>: {escape(_about(section))}"
            folded += [pn.pane.HTML(heading, margin=(8, 10, 0, 10)), self._cells(names)]
        cards.append(_folded(ADVANCED, folded))
        return pn.Column(
            pn.Row(
                self.presets,
                self._save,
                pn.Column(
                    pn.pane.HTML("Load a config.json", margin=(5, 10, 0, 10)), self._load, margin=0
                ),
            ),
            self.trouble,
            *cards,
            sizing_mode="stretch_width",
        )

    def _cells(self, names: list[str]) -> Any:
        return pn.FlexBox(
            *(
                pn.Column(self.widgets[name], self.notes[name], width=_WIDTH + 20, margin=0)
                for name in names
            ),
            sizing_mode="stretch_width",
        )


def _folded(title: str, content: list[Any]) -> Any:
    """Return a folded part that is sent to the browser when it is first opened."""
    card = pn.Card(title=title, collapsed=True, **CARD)

    def fill(event: Any) -> None:
        if not event.new and not card.objects:
            card.objects = content

    card.param.watch(fill, "collapsed")
    return card


def _about(section: str) -> str:
    """Return what a section is about, as its settings' own description says."""
    holder = Config.model_fields[section].annotation
    return (getattr(holder, "__doc__", "") or "").strip().partition("\n")[0]


def _widget(field: FormField) -> Any:
    common = {"width": _WIDTH, "margin": (6, 10, 0, 10)}
    if field.kind == "switch":
        return pn.widgets.Checkbox(label=field.label, **common)
    if field.kind == "choice":
        return pn.widgets.Select(label=field.label, options=list(field.choices), **common)
    return pn.widgets.TextInput(label=field.label, placeholder=field.range, **common)


def _note(field: FormField, fault: str | None) -> str:
    if fault is not None:
        return f'{FIELD_CSS}<div class="wrong" role="alert">{escape(fault)}</div>'
    faster = f' <span class="faster">&#9889; {escape(field.faster)}</span>' if field.faster else ""
    # Of a choice and a switch the widget itself shows what may be chosen.
    limits = f" ({escape(field.range)})" if field.kind in ("number", "several") else ""
    return f'{FIELD_CSS}<div class="help">{escape(field.help)}{limits}{faster}</div>'
