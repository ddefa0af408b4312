"""Dense against experts on real images as a LaTeX table (booktabs): scores on the test set and in another style."""

from __future__ import annotations

from paper_figures.entries import table
from paper_figures.records import Record

SCORES = {"vqa": "VQA accuracy", "mme": "MME", "grounding": r"grounding, IoU $\geq 1/2$"}
MODELS = {"dense": "dense", "experts": "experts", "difference": "experts less dense"}
OPENING = (r"% Packages: booktabs.", r"\begin{table*}", r"\centering\footnotesize\setlength{\tabcolsep}{5pt}")
CLOSING = (r"\bottomrule", r"\end{tabular}", r"\end{table*}", "")


@table("toy_models/results/multimodal.json")
def latex(data: Record) -> str:
    """Return means and intervals over seeds by test set, model and score."""
    body = [line for name in ("test", "shifted") for line in _block(data["main"][name], name)]
    body += [
        r"\midrule",
        *(_line("test", name, data["controls"][name]) for name in ("question only", "shuffled images")),
    ]
    opening = [*OPENING, rf"\caption{{{_caption(data)}}}", r"\label{tab:experiment}"]
    head = " & ".join(["set", "model", *SCORES.values()]) + r" \\"
    return "\n".join([*opening, r"\begin{tabular}{@{}llrrr@{}}", r"\toprule", head, *body, *CLOSING])


def _caption(data: Record) -> str:
    seeds = len(data["main"]["test"]["dense"]["vqa"].array("values"))
    return (
        rf"Dense against experts at equal compute on real images, mean and $95\,\%$ interval over {seeds} seeds"
        r" (Student's $t$). MME sums accuracy and accuracy over both questions of an image, in per cent, over its"
        r" categories. Shifted: the test set in another rendering style. Controls: the dense model without its image,"
        r" and with another's."
    )


def _block(found: Record, name: str) -> list[str]:
    return [r"\midrule", *(_line(name, words, found[model]) for model, words in MODELS.items())]


def _line(name: str, words: str, scores: Record) -> str:
    return " & ".join([name, words, *(_cell(scores[key], 0 if key == "mme" else 3) for key in SCORES)]) + r" \\"


def _cell(found: Record, digits: int) -> str:
    low, high = (f"{found[key]:.{digits}f}" for key in ("low", "high"))
    return rf"${found['mean']:.{digits}f}$ $[{low}, {high}]$"
