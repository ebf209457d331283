"""Reasons in bulk and one by one: columns of a batch, values, and their messages."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from serving.answers import Reason, ReasonKind, Reasons
from serving.pb.ebbtide.v1 import scoring_pb2 as pb

NUM_REASONS = 3
_NAMES_TYPE = pa.dictionary(pa.int8(), pa.string())
KIND_NAMES = tuple(kind.name.lower() for kind in ReasonKind)

REASON_TYPE = pa.struct(
    [
        pa.field("indicator", _NAMES_TYPE, nullable=False),
        pa.field("kind", _NAMES_TYPE, nullable=False),
        pa.field("points", pa.float32(), nullable=False),
        pa.field("value", pa.float32()),
        pa.field("usual_value", pa.float32()),
        pa.field("unit", _NAMES_TYPE, nullable=False),
        pa.field("sentence", pa.string(), nullable=False),
        pa.field("theme", _NAMES_TYPE, nullable=False),
    ]
)

# What a batch has at its end where reasons were asked for; the meaning is that of Reasons in the proto.
REASON_FIELDS: tuple[pa.Field, ...] = (
    pa.field("baseline_churn_probability", pa.float32(), nullable=False),
    pa.field("chain_churn_probability", pa.float32(), nullable=False),
    pa.field("segment", _NAMES_TYPE, nullable=False),
    pa.field("other_points", pa.float32(), nullable=False),
    pa.field("reasons", pa.list_(pa.field("item", REASON_TYPE, nullable=False), NUM_REASONS), nullable=False),
)


def has_reasons(batch: pa.RecordBatch) -> bool:
    return REASON_FIELDS[-1].name in batch.schema.names


def read_reason_columns(batch: pa.RecordBatch) -> list[Reasons]:
    """The reasons of each row of a batch that has REASON_FIELDS."""
    rows = zip(*(batch.column(field.name).to_pylist() for field in REASON_FIELDS), strict=True)
    return [
        Reasons(
            baseline_churn_probability=baseline,
            chain_churn_probability=chain,
            segment=segment,
            other_points=other,
            strongest=tuple(Reason(**entry | {"kind": ReasonKind[entry["kind"].upper()]}) for entry in strongest),
        )
        for baseline, chain, segment, other, strongest in rows
    ]


def reason_columns_message(batch: pa.RecordBatch) -> pb.ReasonColumns:
    """The same columns as packed repeated fields."""
    entries = batch.column("reasons").flatten()
    indicator, kind, unit, theme = (entries.field(name) for name in ("indicator", "kind", "unit", "theme"))
    place = len(theme.dictionary) * indicator.indices.to_numpy().astype(np.int64) + theme.indices.to_numpy()
    _, first, subject = np.unique(place, return_index=True, return_inverse=True)
    named = zip(*(names.take(pa.array(first)).to_pylist() for names in (indicator, kind, unit, theme)), strict=True)
    subjects = [
        pb.ReasonSubject(indicator=name, kind=_kind_number(sort), unit=counted_in, theme=about)
        for name, sort, counted_in, about in named
    ]
    chain, segment = (batch.column(name) for name in ("chain_churn_probability", "segment"))
    segments, segment_place = np.unique(segment.indices.to_numpy(), return_inverse=True)
    value, usual = (entries.field(name).to_numpy(zero_copy_only=False) for name in ("value", "usual_value"))
    return pb.ReasonColumns(
        baseline_churn_probability=batch.column("baseline_churn_probability").to_numpy().tolist(),
        other_points=batch.column("other_points").to_numpy().tolist(),
        subjects=subjects,
        subject=subject.tolist(),
        points=entries.field("points").to_numpy().tolist(),
        value=value.tolist(),
        usual_value=usual.tolist(),
        sentence=entries.field("sentence").to_numpy(zero_copy_only=False).tolist(),
        chain_churn_probability=chain[0].as_py() if len(batch) else 0.0,
        segments=segment.dictionary.take(pa.array(segments)).to_pylist(),
        segment=segment_place.tolist(),
    )


def reasons_message(reasons: Reasons) -> pb.Reasons:
    return pb.Reasons(
        baseline_churn_probability=reasons.baseline_churn_probability,
        other_points=reasons.other_points,
        strongest=[
            pb.Reason(
                indicator=reason.indicator,
                kind=pb.ReasonKind.ValueType(reason.kind),
                points=reason.points,
                value=reason.value,
                usual_value=reason.usual_value,
                unit=reason.unit,
                sentence=reason.sentence,
                theme=reason.theme,
            )
            for reason in reasons.strongest
        ],
        unavailable=reasons.unavailable,
        chain_churn_probability=reasons.chain_churn_probability,
        segment=reasons.segment,
    )


def read_reasons(message: pb.Reasons) -> Reasons:
    return Reasons(
        baseline_churn_probability=message.baseline_churn_probability,
        other_points=message.other_points,
        strongest=tuple(
            Reason(
                indicator=entry.indicator,
                kind=ReasonKind(entry.kind),
                points=entry.points,
                value=entry.value if entry.HasField("value") else None,
                usual_value=entry.usual_value if entry.HasField("usual_value") else None,
                unit=entry.unit,
                sentence=entry.sentence,
                theme=entry.theme,
            )
            for entry in message.strongest
        ),
        unavailable=message.unavailable,
        chain_churn_probability=message.chain_churn_probability,
        segment=message.segment,
    )


def _kind_number(name: str) -> pb.ReasonKind.ValueType:
    return pb.ReasonKind.ValueType(ReasonKind[name.upper()])
