"""Every setting, its default, and where its value came from. Does not open models or indexes.

``Settings()`` is the defaults and looks at nothing. Only :func:`load_settings` looks at the machine, in this
order: arguments > environment ``CITEWELL_*`` > ``citewell.toml`` > defaults. It is called once, at the entry
point; what it returns is frozen and handed on. A name that is not a setting is refused wherever it stands:
a mistyped key would otherwise be a setting that silently does nothing.

A file that merely lies in the current folder may have come with the folder. It may not let program code run
(:data:`NOT_FROM_FOUND_FILE`), nor say where a key is sent (:meth:`Settings.was_found`).

A collection can keep a few settings of its own (:data:`TUNABLE`), which :func:`tuned` puts in the place of defaults.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from index.errors import ConfigError

__all__ = [
    "CONFIG_FILE",
    "ENV_PREFIX",
    "NOT_FROM_FOUND_FILE",
    "TUNABLE",
    "SettingRow",
    "Settings",
    "check_tuning",
    "describe",
    "load_settings",
    "tuned",
]

CONFIG_FILE: Final = "citewell.toml"
ENV_PREFIX: Final = "CITEWELL_"
TUNABLE: Final = ("refusal.threshold", "retrieval.keywords", "retrieval.rerank")
"""The settings that a collection can keep: what is best for them depends on its papers."""
NOT_FROM_FOUND_FILE: Final = ("answering.trust_remote_code",)
"""The settings that only those may switch on who name the settings file, or set them elsewhere."""
CONFIG_VARIABLE: Final = "CITEWELL_CONFIG"
_SHORT_NAMES: Final = {"CITEWELL_CACHE_DIR": "index.cache_dir"}  # a second, shorter variable for one setting
API_KEY_VARIABLE: Final = "CITEWELL_LLM_API_KEY"  # of a language model's server; a secret is no setting
_NOT_SETTINGS: Final = {CONFIG_VARIABLE, API_KEY_VARIABLE, "CITEWELL_DEBUG"}

_Folder = Annotated[Path, AfterValidator(Path.expanduser)]


def _user_cache() -> Path:
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("citewell"))


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IndexSettings(_Group):
    """Where things are kept, and what turns them into vectors."""

    path: _Folder = Field(Path("papers.idx"), description="Folder of the index.")
    cache_dir: _Folder = Field(
        default_factory=_user_cache,
        description="Folder for what can be rebuilt at any time, such as the encoder graph.",
    )
    embed_model: str | None = Field(
        None, description="Embedding model: a sentence-transformers folder or hub id. None: the bundled one."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="Where the embedding model runs; the bundled one uses a GPU for bulks only."
    )
    passage_tokens: int | None = Field(
        None, ge=32, description="Most tokens of title and passage together. None: the embedding model's window."
    )


class RetrievalSettings(_Group):
    """How papers are found."""

    similarity_top_k: int = Field(8, ge=1, description="Papers found per question.")
    candidates: int = Field(50, ge=1, description="Papers each search (meaning, keywords) hands to the fusion.")
    keywords: bool = Field(True, description="Whether shared words count beside meaning.")
    rerank: bool = Field(True, description="Whether the evidence reader reorders the best papers.")
    max_question_chars: int = Field(2000, ge=1, description="Longest question, in characters.")


class EvidenceSettings(_Group):
    """What reads the papers that were found, and how much is quoted."""

    reader: Literal["trained", "similarity"] = Field(
        "trained", description="Evidence reader: the trained network, or similarity alone, which costs nothing."
    )
    papers_read: int = Field(
        4, ge=1, description="Papers read for a single answer; for a list or a comparison all that were found are read."
    )
    max_sentences: int = Field(3, ge=1, description="Most sentences quoted from one paper.")
    max_words: int = Field(90, ge=1, description="Most words quoted from one paper; the best sentence is always given.")


class AnsweringSettings(_Group):
    """Who writes the answer, and what may stay of it."""

    llm: str | None = Field(
        None,
        description="Language model: a folder, hub id or http://host:port/v1#model. None: the evidence reader answers.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where a local language model runs.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number format of a local model's weights. auto: bfloat16 where the machine computes in it."
    )
    quantization: Literal["none", "8bit", "4bit"] = Field(
        "none", description="Load a local model with fewer bits per weight; needs bitsandbytes."
    )
    trust_remote_code: bool = Field(False, description="Let a local model run program code that comes with it.")
    max_new_tokens: int = Field(400, ge=1, description="Most tokens a language model writes per answer.")
    prompt_tokens: int = Field(
        3000, ge=1, description="Most tokens it is given; the least relevant papers are left out first."
    )
    grounding: Literal["strict", "mark", "off"] = Field(
        "strict", description="What happens to its sentences that no abstract supports: dropped, marked or kept."
    )
    rewrite: bool = Field(True, description="Whether it rewrites a follow-up question, a short call of its own.")
    routing: bool = Field(
        False, description="Whether a question that one sure sentence answers is answered without the language model."
    )
    concurrent: int | None = Field(
        None, ge=1, description="Answers it writes at the same time. None: 1 on this machine, 8 on a server."
    )
    max_waiting: int = Field(16, ge=0, description="Answers that may wait for it; others are given by the reader.")
    max_wait_s: float | None = Field(
        None, ge=0, description="Longest wait for it, in seconds; the evidence reader answers instead. None: any."
    )
    timeout_s: float = Field(120.0, gt=0, description="Longest silence of a server, in seconds.")


class RefusalSettings(_Group):
    """When a question is refused."""

    threshold: float = Field(0.5, ge=0, le=1, description="Refuse below this answerability, 0 to 1.")


class UiSettings(_Group):
    """How the web page is served."""

    host: str = Field("127.0.0.1", description="Address the web page listens on.")
    port: int = Field(7860, ge=0, le=65535, description="Port the web page listens on; 0 takes any free one.")


class Settings(BaseSettings):
    """All settings, in groups. Frozen.

    The plain constructor takes groups or mappings and reads neither the environment nor a file.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", env_ignore_empty=True, extra="forbid", frozen=True
    )

    index: IndexSettings = Field(default_factory=lambda: IndexSettings())
    retrieval: RetrievalSettings = Field(default_factory=lambda: RetrievalSettings())
    evidence: EvidenceSettings = Field(default_factory=lambda: EvidenceSettings())
    answering: AnsweringSettings = Field(default_factory=lambda: AnsweringSettings())
    refusal: RefusalSettings = Field(default_factory=lambda: RefusalSettings())
    ui: UiSettings = Field(default_factory=lambda: UiSettings())

    # Where each value that is not a default came from, by the setting's name.
    _sources: dict[str, str] = PrivateAttr(default_factory=dict)
    # Those that a settings file says which nobody named: it lay in the current folder.
    _found: frozenset[str] = PrivateAttr(default=frozenset())

    def was_found(self, name: str) -> bool:
        """Whether a value, such as that of ``answering.llm``, is from a settings file that nobody named."""
        return name in self._found

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but the arguments: :func:`load_settings` merges the rest and keeps track of it."""
        return (init_settings,)


class SettingRow(NamedTuple):
    """One setting as :func:`describe` shows it.

    Attributes:
        name: Group and field, ``retrieval.similarity_top_k``.
        value: Its value.
        source: "default", "argument", "environment CITEWELL_…", the name of the settings file, or "collection …".
        description: What it does, one sentence.
    """

    name: str
    value: Any
    source: str
    description: str


def load_settings(
    config_file: str | Path | None = None, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> Settings:
    """Gather the settings from arguments, environment and settings file.

    Args:
        config_file: Settings file. None: the one ``CITEWELL_CONFIG`` names, else ``citewell.toml`` in the
            current folder when there is one.
        overrides: Values that beat every other source, by group: ``{"ui": {"port": 8000}}``.

    Raises:
        ConfigError: If a name is not a setting, a value is not allowed, or a named settings file is missing
            or is not TOML. The message names the key, its source and the nearest setting. Also if a file that was
            not named switches on what it may not.
    """
    sources: dict[str, str] = {}
    merged: dict[str, dict[str, Any]] = {}
    for values, origin in (_file_values(config_file), (_environment_values(), ""), (overrides or {}, "argument")):
        for group, fields in _checked(values, origin).items():
            for field, value in fields.items():
                merged.setdefault(group, {})[field] = value
                sources[f"{group}.{field}"] = origin or f"environment {_variable_of(f'{group}.{field}')}"
    try:
        settings = Settings(**merged)  # type: ignore[arg-type]  # mappings become groups
    except ValidationError as exc:
        raise ConfigError("; ".join(_bad_values(exc, sources))) from exc
    settings._sources = sources
    if not (config_file or os.environ.get(CONFIG_VARIABLE)):
        settings._found = frozenset(name for name, origin in sources.items() if origin == CONFIG_FILE)
        _refuse_found(settings)
    return settings


def describe(settings: Settings) -> list[SettingRow]:
    """List every setting with its value and where it came from, in the order of the groups; passwords are masked."""
    return [
        SettingRow(
            name=name,
            value=_masked(getattr(getattr(settings, group), field)),
            source=_source_of(settings, name),
            description=description,
        )
        for name, description in _descriptions().items()
        for group, _, field in [name.partition(".")]
    ]


def _refuse_found(settings: Settings) -> None:
    for name in NOT_FROM_FOUND_FILE:
        group, _, field = name.partition(".")
        if settings.was_found(name) and getattr(getattr(settings, group), field):
            raise ConfigError(
                f"{CONFIG_FILE} in the current folder sets {name}, which lets program code run, and a file that was "
                f"merely found may not do so. If you trust it: {_long_variable(name)}=true, or name the file with "
                f"--config or {CONFIG_VARIABLE}."
            )


def _masked(value: Any) -> Any:
    """Return a value without the password that an address in it may hold."""
    return re.sub(r"(://)[^#\s]*@", r"\1…@", value) if isinstance(value, str) else value


def check_tuning(values: Mapping[str, bool | float | None], origin: str = "argument") -> None:
    """Check settings that a collection is to keep, or keeps.

    Args:
        values: By name, such as ``{"refusal.threshold": 0.4, "retrieval.rerank": False}``; None stands for no value.
        origin: Where they come from, for messages.

    Raises:
        ConfigError: If a name is not in :data:`TUNABLE` or a value is not allowed. The message names the nearest name.
    """
    for name, value in values.items():
        if name not in TUNABLE:
            (nearest,) = difflib.get_close_matches(name, TUNABLE, n=1, cutoff=0)
            kept = ", ".join(TUNABLE)
            raise ConfigError(f"{origin}: a collection does not keep {name}, only {kept}. Did you mean {nearest}?")
        if value is None:
            continue
        group, _, field = name.partition(".")
        try:
            type(getattr(Settings(), group)).model_validate({field: value}, strict=True)
        except ValidationError as exc:
            raise ConfigError("; ".join(_bad_values(exc, {name: origin}, f"{group}."))) from exc


def tuned(settings: Settings, kept: Mapping[str, bool | float], folder: Path) -> Settings:
    """Return the settings with those that a collection keeps in the place of defaults; all others go before them.

    Args:
        settings: The settings of this run.
        kept: What the collection keeps, by name.
        folder: Its index folder, for :func:`describe`.

    Raises:
        ConfigError: As :func:`check_tuning`; another version may have written it.
    """
    origin = f"collection {folder}"
    check_tuning(kept, origin)
    groups: dict[str, BaseModel] = {}
    used: dict[str, str] = {}
    for name, value in kept.items():
        if _source_of(settings, name) == "default":
            group, _, field = name.partition(".")
            groups[group] = groups.get(group, getattr(settings, group)).model_copy(update={field: value})
            used[name] = origin
    changed = settings.model_copy(update=groups)
    changed._sources = {**settings._sources, **used}
    return changed


def _source_of(settings: Settings, name: str) -> str:
    """Return where a value came from; what was given to the constructor of its group is an argument."""
    group, _, field = name.partition(".")
    given = field in getattr(settings, group).model_fields_set
    return settings._sources.get(name, "argument" if given else "default")


def _descriptions() -> dict[str, str]:
    """Return the names of all settings, such as ``ui.port``, with their descriptions."""
    return {
        f"{group}.{field}": info.description or ""
        for group, group_info in Settings.model_fields.items()
        if isinstance(group_info.annotation, type) and issubclass(group_info.annotation, BaseModel)
        for field, info in group_info.annotation.model_fields.items()
    }


def _file_values(config_file: str | Path | None) -> tuple[dict[str, Any], str]:
    """Return what the settings file says, and the name to call it by."""
    named = config_file or os.environ.get(CONFIG_VARIABLE)
    path = Path(named or CONFIG_FILE).expanduser()
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig")), str(path)
    except FileNotFoundError as exc:
        if named:
            origin = "" if config_file else f" (named by {CONFIG_VARIABLE})"
            raise ConfigError(f"There is no settings file {path}{origin}. Create it or name another one.") from exc
        return {}, str(path)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} is not a TOML file: {exc}. Correct it or name another one.") from exc
    except OSError as exc:
        raise ConfigError(f"The settings file {path} cannot be read: {exc.strerror}.") from exc


def _environment_values() -> dict[str, Any]:
    """Return what the environment says, after refusing variables that are no setting."""
    known = {_long_variable(name) for name in _descriptions()} | _SHORT_NAMES.keys() | _NOT_SETTINGS
    for variable in sorted(os.environ):
        if variable.upper().startswith(ENV_PREFIX) and variable.upper() not in known:
            raise ConfigError(f"The environment variable {variable} is not a setting.{_hint(variable.upper(), known)}")
    values: dict[str, Any] = EnvSettingsSource(Settings)()
    for variable, name in _SHORT_NAMES.items():
        group, _, field = name.partition(".")
        if os.environ.get(variable):
            values.setdefault(group, {}).setdefault(field, os.environ[variable])
    return values


def _long_variable(name: str) -> str:
    return ENV_PREFIX + name.upper().replace(".", "__")


def _variable_of(name: str) -> str:
    """Return the variable that set a setting: the long one beats the short one."""
    short = next((variable for variable, target in _SHORT_NAMES.items() if target == name), "")
    return short if short and not os.environ.get(_long_variable(name)) else _long_variable(name)


def _checked(values: Mapping[str, Any], origin: str) -> Mapping[str, Mapping[str, Any]]:
    """Refuse names that are no setting.

    Raises:
        ConfigError: Naming the first such name, its source and the nearest setting.
    """
    known = _descriptions()
    for group, fields in values.items():
        if group not in Settings.model_fields:
            hint = _hint(group, Settings.model_fields, known)
            raise ConfigError(f"{origin}: {group} is not a group of settings.{hint}")
        if not isinstance(fields, Mapping):
            raise ConfigError(f"{origin}: {group} is a group, not a value. Write [{group}] above its settings.")
        for field in fields:
            if f"{group}.{field}" not in known:
                raise ConfigError(f"{origin}: {group}.{field} is not a setting.{_hint(f'{group}.{field}', known)}")
    return values


def _hint(name: str, *known: Mapping[str, Any] | Set[str]) -> str:
    """Return " Did you mean …?" for the nearest known name, else the groups there are.

    Example:
        >>> _hint("ui.prot", {"ui.host", "ui.port"})
        ' Did you mean ui.port?'
    """
    # Without the prefix: ten letters that always agree would make any two variables look alike.
    names = {candidate.removeprefix(ENV_PREFIX): candidate for group in known for candidate in group}
    name = name.removeprefix(ENV_PREFIX)
    whole = [candidate for candidate in names if candidate.endswith((f".{name}", f"__{name}"))]  # its group is missing
    nearest = whole[:1] or difflib.get_close_matches(name, names, n=1, cutoff=0.7)
    return f" Did you mean {names[nearest[0]]}?" if nearest else f" The groups are {', '.join(Settings.model_fields)}."


def _bad_values(exc: ValidationError, sources: Mapping[str, str], prefix: str = "") -> list[str]:
    """Return a sentence per value; ``prefix`` goes before the names that pydantic gives them."""
    lines = []
    for error in exc.errors(include_url=False):
        name = prefix + ".".join(str(part) for part in error["loc"][:2])
        message = error["msg"][:1].lower() + error["msg"][1:]
        lines.append(f"{sources.get(name, 'argument')}: {name} is {error['input']!r}: {message}")
    return lines
