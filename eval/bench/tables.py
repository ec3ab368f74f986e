"""Lay out the figures of :mod:`eval.bench.index_scale` as tables. Measures nothing."""

from collections.abc import Sequence
from typing import Any

_SEARCHES = ("dense", "keyword", "fused")


def render(figures: dict[str, Any]) -> str:
    """Return the figures as tables."""
    built, asked, checked, updated = (figures[step] for step in ("build", "query", "verify", "update"))
    embedding = figures["encoder"]["seconds_per_paper"] * built["papers"]
    stand_in = built["stages_s"]["stand-in for the encoder"]
    whole = embedding + built["seconds"] - stand_in
    lines = [
        ("what", "measured"),
        ("collection", f"{built['papers']:,} papers, {built['passages']:,} passages"),
        ("reading and cleaning", f"{figures['reading']['records_per_s']:,} papers/s"),
        ("embedding, bare encoder", f"{figures['encoder']['bare_per_s']} papers/s"),
        (
            "embedding, through add",
            f"{figures['encoder']['add_per_s']} papers/s, {figures['encoder']['ratio']:.1%} of it",
        ),
        ("building, without embedding", f"{built['seconds'] - stand_in:,.0f} s"),
        *(
            (f"… {name}", f"{spent:,.0f} s, {spent / whole:.1%} of a build with embedding")
            for name, spent in built["stages_s"].items()
            if spent is not stand_in
        ),
        ("peak memory of the build", f"{built['peak_mb']:,.0f} MB"),
        ("index", f"{built['bytes_per_passage']:,} bytes per passage"),
        ("opening the index; the encoder", f"{asked['open_index_s']} s; {asked['open_encoder_s']} s"),
        *((f"{name} search, p50; p95", _two(asked[name])) for name in _SEARCHES),
        ("fused, 1 paper in 10,000 passes", _two(asked["narrow"])),
        ("fused, the commonest tag", _two(asked["broad"])),
        ("peak memory of a query process", f"{asked['peak_mb']:,.0f} MB"),
        ("recall@10 against exact search", f"{checked['recall@10']}"),
        (
            "narrow filter equal to brute force",
            f"{figures['verify']['narrow_equal']} of {figures['verify']['searches']}",
        ),
        ("adding one paper, p50; p95", _two(updated["add_one"])),
        ("found by the next search", updated["visible_at_once"]),
        ("deleting 1,000 papers", f"{updated['delete_1000_s']} s"),
    ]
    shown = table(lines)
    if "rival_build" in figures:
        shown += "\n\n" + _beside(figures, built["seconds"] - stand_in)
    return shown


def _beside(figures: dict[str, Any], build_s: float) -> str:
    theirs_built, theirs, ours = figures["rival_build"], figures["rival_query"], figures["query"]
    pairs = [
        ("building, without embedding (s)", build_s, theirs_built["seconds"]),
        ("peak memory of the build (MB)", figures["build"]["peak_mb"], theirs_built["peak_mb"]),
        ("bytes per passage", figures["build"]["bytes_per_passage"], theirs_built["bytes_per_passage"]),
        ("opening (s)", ours["open_index_s"], theirs["open_index_s"]),
        ("peak memory of a query process (MB)", ours["peak_mb"], theirs["peak_mb"]),
        *(
            (f"{name} search, p50 (ms)", ours[name]["p50"], theirs[name]["p50"])
            for name in ("dense", "keyword", "fused")
        ),
    ]
    lines = [("what", "Citewell", "llama-index", "ratio")]
    lines += [(name, f"{a:,.4g}", f"{b:,.4g}", f"{b / a:.1f}" if a else "") for name, a, b in pairs]
    return table(lines)


def _two(figures: dict[str, float]) -> str:
    return f"{figures['p50']:.1f} ms; {figures['p95']:.1f} ms"


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Lay out rows as a Markdown table; the first one is the head."""
    head, *body = rows
    lines = [head, tuple("---" for _ in head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
