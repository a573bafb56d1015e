"""Files of the programs Stata (.dta), SAS (.sas7bdat, .xpt) and SPSS (.sav, .zsav, .por), by pandas."""

import re
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.typed_files.arrow_files import collect_arrow
from pipeline.errors import BadData, read_first_line

FORMS = {
    "Stata": re.compile(rb"<stata_dta>|[\x68-\x73][\x01\x02]\x01\x00", re.DOTALL),
    "SAS": re.compile(rb"\x00{12}\xc2\xea\x81\x60", re.DOTALL),
    "SPSS portable": re.compile(rb".{40}ASCII SPSS PORT", re.DOTALL),
    "SPSS": re.compile(rb"\$FL[23]"),
    "SAS transport": re.compile(rb"HEADER RECORD\*{7}LIB(RARY|V8)"),
}
"""The first bytes of each form."""
NEW_TRANSPORT = b"HEADER RECORD*******LIBV8"
"""With longer names, which pandas does not read."""


def find_form(path: Path) -> str:
    """Return of which program a file is; "" for none of them."""
    with path.open("rb") as file:
        head = file.read(64)
    return next((form for form, magic in FORMS.items() if magic.match(head)), "")


def read_statistics(path: Path, scratch: ScratchSpace, findings: Findings, form: str) -> CellTable:
    """Read such a file; labels of values take their place, where each value of a column has one.

    Raises:
        BadData: it is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = _read(path, form)
            partly = [name for name in read.columns if _has_few_labels(read[name])]
            if partly:
                read[partly] = _read(path, form, labels=False)[partly]
            table = pa.Table.from_pandas(read, preserve_index=False)
    except ImportError:
        raise BadData(
            f"{path} needs the package pyreadstat to be read, got none; pip install pyreadstat, or save the "
            "table as CSV"
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # pandas raises whatever its parsers do
        raise BadData(
            f"{path} must be a whole file of {form}, got: {read_first_line(error)}; write it again, or as CSV"
        ) from None
    text = "of which few values have labels: read without them"
    findings.add("column", text, ", ".join(partly[:8]), len(partly))
    return collect_arrow(table.schema, table.to_batches(), scratch, findings)


def _has_few_labels(column: Any) -> bool:
    """Return whether some values are labels and others are numbers, as on a scale whose ends have names."""
    are_texts = {isinstance(value, str) for value in getattr(column.dtype, "categories", ())}
    return len(are_texts) > 1


def _read(path: Path, form: str, labels: bool = True) -> Any:
    import pandas

    if form == "Stata":
        try:
            return pandas.read_stata(path, convert_categoricals=labels)
        except ValueError:  # two values have one label
            return pandas.read_stata(path, convert_categoricals=False)
    if form == "SPSS":
        return pandas.read_spss(path, convert_categoricals=labels)
    if form == "SPSS portable":
        import pyreadstat

        return pyreadstat.read_por(path, apply_value_formats=labels)[0]
    if form == "SAS":
        return pandas.read_sas(path, format="sas7bdat", encoding="infer")
    with path.open("rb") as file:
        if file.read(len(NEW_TRANSPORT)) == NEW_TRANSPORT:
            import pyreadstat

            return pyreadstat.read_xport(path)[0]
    return pandas.read_sas(path, format="xport")
