"""What came of one eval command, in the one form that all of them share. Measures nothing itself and draws nothing.

A :class:`Run` holds everything that a report, a comparison or a repetition needs. ``run_json`` and ``read_run`` are
inverse to each other; the form is versioned by :data:`SCHEMA_VERSION`.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from index.errors import CitewellError, EvalDataError

from .dataset import dataset_sha256

FORM = "citewell eval run"
SCHEMA_VERSION = 1
PACKAGES = ("faiss-cpu", "llama-index-core", "numpy", "onnxruntime", "tokenizers", "torch", "transformers")

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Dataset:
    """What was measured on.

    Attributes:
        path: The file or folder, as it was named.
        sha256: Digest of its contents, hexadecimal. Runs of different digests are not compared.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    path: str
    sha256: str

    @classmethod
    def of_file(cls, path: str | Path) -> "Dataset":
        """Return the dataset that one file is.

        Raises:
            EvalDataError: If the file cannot be read.
        """
        return cls(str(path), dataset_sha256(path))


@dataclass(frozen=True, slots=True)
class Measure:
    """One number over many queries.

    Attributes:
        name: Its name; for a measure per query also that of its scores in the rows.
        label: What it is, for people.
        value: The number.
        low: Lower end of its 95% interval; None where there is none, as for a total.
        high: Upper end.
        n: Queries it was measured on.
        unit: "" for a share, 0 to 1; else a unit such as "ms" or "words".
        higher_is_better: None where neither direction is better.
        per_query: Whether it is the mean of the rows' scores of this name.
        column: Heading in tables; "" for a number that is only in the list of all.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    label: str
    value: float
    low: float | None
    high: float | None
    n: int
    unit: str = ""
    higher_is_better: bool | None = True
    per_query: bool = True
    column: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one query.

    Attributes:
        id: Name of the query, unique in its run.
        group: The group it is reported under; "" for none.
        text: What was asked.
        scores: Score by name of measure; None where the query gives nothing to measure by.
        details: What else there is to know, as JSON values (lists, not tuples), for people.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    id: str
    group: str
    text: str
    scores: Mapping[str, float | None]
    details: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one group as one line.

    Attributes:
        name: The group.
        n: Its number of rows.
        measures: Those that its rows have.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    n: int
    measures: tuple[Measure, ...]

    def measure(self, name: str) -> Measure | None:
        """Return a measure by name; None if the rows of the group do not have it."""
        return next((measure for measure in self.measures if measure.name == name), None)


@dataclass(frozen=True, slots=True)
class Series:
    """Scores that belong together in a histogram."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How scores are distributed.

    Attributes:
        title: What is shown.
        x_label: What the scores are.
        low: Left end of the axis.
        high: Right end, more than ``low``; scores beyond an end count in the outermost bin.
        series: At least one.
        mark: A place on the axis to point out, such as a threshold; None for none.
        mark_label: What it is.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    title: str
    x_label: str
    low: float
    high: float
    series: tuple[Series, ...]
    mark: float | None = None
    mark_label: str = ""
    kind: Literal["histogram"] = "histogram"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a diagram: ``y[i]`` at ``x[i]``, ``x`` not falling, equal lengths, at least one point."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """Shares (0 to 1) as they depend on something.

    Attributes:
        title: What is shown.
        x_label: What changes.
        y_label: What depends on it.
        lines: At least one.
        steps: Whether the value of a point also holds for all that lies between the point before and it.
        mark: A place on the x axis to point out; None for none.
        mark_label: What it is.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    steps: bool = False
    mark: float | None = None
    mark_label: str = ""
    kind: Literal["curves"] = "curves"


@dataclass(frozen=True, slots=True)
class Bars:
    """One measure, a bar per group and one over all.

    Attributes:
        measure: Its name; the values are those of the run's groups.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    measure: str
    kind: Literal["bars"] = "bars"


Plot = Annotated[Histogram | Curves | Bars, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one eval command.

    Attributes:
        command: "answers", "retrieval", …
        dataset: What was measured on.
        settings: The settings of the run, as JSON values.
        versions: Version by package, "python" and "citewell" among them.
        measures: The numbers over all rows.
        groups: The same per group, in order of first appearance; empty when there is one group only.
        rows: One per query, in order.
        plots: What is drawn of it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    command: str
    dataset: Dataset
    settings: Mapping[str, JsonValue]
    versions: Mapping[str, str]
    measures: tuple[Measure, ...]
    groups: tuple[Group, ...]
    rows: tuple[Row, ...]
    plots: tuple[Plot, ...] = ()

    def measure(self, name: str) -> Measure:
        """Return a measure by name.

        Raises:
            KeyError: If the run has none of this name.
        """
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise KeyError(name)

    def group(self, name: str) -> Group:
        """Return a group by name.

        Raises:
            KeyError: If the run has none of this name.
        """
        for group in self.groups:
            if group.name == name:
                return group
        raise KeyError(name)


_RUN = TypeAdapter(Run)


def run_json(run: Run) -> str:
    """Return a run as a JSON document that :func:`parse_run` reads.

    Raises:
        ValueError: If a number is not finite.
    """
    document = {"form": FORM, "schema_version": SCHEMA_VERSION, **asdict(run)}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def write_text(path: Path, text: str) -> None:
    """Write one file of a report.

    Raises:
        CitewellError: If it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise CitewellError(f"{path} cannot be written: {exc.strerror or exc}. Name another file with --out.") from exc


def read_run(path: str | Path) -> Run:
    """Read a run that an eval command wrote.

    Raises:
        EvalDataError: If the file cannot be read or is not a run; the message names file and field.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as exc:
        raise EvalDataError(f"{path} cannot be read: {exc.strerror or exc}. Name the JSON file of a run.") from exc
    except UnicodeDecodeError as exc:
        raise EvalDataError(f"{path} is not UTF-8 text. Name the JSON file that citewell eval wrote.") from exc
    return parse_run(text, str(path))


def parse_run(text: str, where: str) -> Run:
    """Return the run of a JSON document.

    Args:
        text: The document.
        where: What messages call it, such as its file.

    Raises:
        EvalDataError: If it is not a run.
    """
    try:
        document: Any = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as exc:
        raise EvalDataError(f"{where} is not JSON ({exc}). Name the JSON file that citewell eval wrote.") from exc
    if not isinstance(document, dict) or document.pop("form", None) != FORM:
        raise EvalDataError(f"{where}, field form: is not {FORM!r}. Name the JSON file that citewell eval wrote.")
    written_as = document.pop("schema_version", None)
    if written_as != SCHEMA_VERSION:
        raise EvalDataError(
            f"{where}, field schema_version: is {written_as!r}, and this version reads {SCHEMA_VERSION}. "
            "Repeat the run with this version of Citewell."
        )
    try:
        run = _RUN.validate_json(json.dumps(document))
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise EvalDataError(f"{where}, field {field}: {first['msg']}. Repeat the run; the file was changed.") from exc
    if problem := _contradiction(run):
        raise EvalDataError(f"{where}, field {problem}. Repeat the run; the file was changed.")
    return run


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python, Citewell and the packages that figures depend on."""
    return {"python": platform.python_version(), **{name: _version(name) for name in ("citewell", *packages)}}


def _contradiction(run: Run) -> str | None:
    """Return the first field that disagrees with another, and how; None for a sound run."""
    ids = [row.id for row in run.rows]
    if len(set(ids)) < len(ids):
        return "rows: two rows have one id"
    for number, plot in enumerate(run.plots):
        if isinstance(plot, Histogram) and not (plot.series and plot.low < plot.high):
            return f"plots.{number}: needs a series, and low below high"
        if isinstance(plot, Curves) and not all(len(line.x) == len(line.y) > 0 for line in plot.lines):
            return f"plots.{number}: a line needs as many x as y, and at least one"
        if isinstance(plot, Bars) and plot.measure not in {measure.name for measure in run.measures}:
            return f"plots.{number}: there is no measure {plot.measure!r}"
    return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
