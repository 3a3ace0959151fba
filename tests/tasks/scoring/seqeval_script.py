"""A short version of the Hub's `seqeval` metric, over the same package."""

import datasets
import evaluate
from seqeval.metrics import accuracy_score, classification_report
from seqeval.scheme import IOB2


class Seqeval(evaluate.Metric):
    def _info(self):
        tags = datasets.Sequence(datasets.Value("string", id="label"), id="sequence")
        return evaluate.MetricInfo(
            description="", citation="", features=datasets.Features({"predictions": tags, "references": tags})
        )

    def _compute(self, predictions, references, mode=None):
        scheme = {"scheme": IOB2} if mode == "strict" else {}
        report = classification_report(references, predictions, output_dict=True, mode=mode, zero_division=0, **scheme)
        overall = report.pop("micro avg")
        names = {"precision": "precision", "recall": "recall", "f1": "f1-score", "number": "support"}
        return {
            **{
                kind: {name: row[key] for name, key in names.items()} for kind, row in report.items() if " " not in kind
            },
            **{f"overall_{name}": overall[key] for name, key in names.items()},
            "overall_accuracy": accuracy_score(references, predictions),
        }
