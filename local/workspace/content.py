"""Notebook contents, made on demand and always the same for an object id and a revision."""

from __future__ import annotations

import json
import zlib
from functools import lru_cache

COMMENT = {"PYTHON": "#", "SQL": "--", "SCALA": "//", "R": "#"}
EXTENSION = {"PYTHON": ".py", "SQL": ".sql", "SCALA": ".scala", "R": ".r"}
OVERSIZE_BYTES = 11_000_000
_TABLES = ("orders", "customers", "invoices", "stock", "shipments", "ledger", "events", "prices")
_CELLS = 128


def first_line(language: str) -> str:
    """The line by which a SOURCE export is known."""
    return f"{COMMENT[language]} Databricks notebook source"


@lru_cache(maxsize=8)
def _cells(language: str) -> tuple[str, ...]:
    return tuple(_cell(language, n) for n in range(_CELLS))


def _cell(language: str, n: int) -> str:
    table, other = _TABLES[n % 8], _TABLES[(n * 5 + 3) % 8]
    lines = {
        "PYTHON": (
            f'df_{n} = spark.read.table("silver.{table}")',
            f'df_{n} = df_{n}.filter("amount > {n * 7}").join(spark.table("silver.{other}"), "id", "left")',
            f'df_{n}.write.mode("overwrite").saveAsTable("gold.{table}_{n}")',
        ),
        "SQL": (
            f"CREATE OR REPLACE TABLE gold.{table}_{n} AS",
            f"SELECT a.id, a.amount, b.region FROM silver.{table} a",
            f"LEFT JOIN silver.{other} b ON a.id = b.id WHERE a.amount > {n * 7};",
        ),
        "SCALA": (
            f'val df{n} = spark.table("silver.{table}").where("amount > {n * 7}")',
            f'df{n}.join(spark.table("silver.{other}"), Seq("id"), "left")',
            f'  .write.mode("overwrite").saveAsTable("gold.{table}_{n}")',
        ),
        "R": (
            f'df_{n} <- tableToDF("silver.{table}")',
            f"df_{n} <- filter(df_{n}, df_{n}$amount > {n * 7})",
            f'saveAsTable(df_{n}, "gold.{table}_{n}", mode = "overwrite")',
        ),
    }
    return "\n".join(lines[language] * (1 + n % 4))


def source(object_id: int, revision: int, language: str, *, oversize: bool = False) -> bytes:
    """SOURCE bytes of a generated notebook; a later revision shares all but its last cell."""
    mark = COMMENT[language]
    if object_id % 97 == 0 and revision == 0 and not oversize:
        return f"{first_line(language)}\n".encode()
    draw = zlib.crc32(b"%d" % object_id)
    cells = _cells(language)
    count = 1 + draw % 12 + (120 if draw % 211 == 0 else 0)
    parts = [cells[(draw + 31 * k) % _CELLS] for k in range(count)]
    parts.append(f"{mark} notebook {object_id}, revision {revision}")
    if oversize:
        parts *= OVERSIZE_BYTES // sum(map(len, parts)) + 1
    body = f"\n\n{mark} COMMAND ----------\n\n".join(parts)
    return f"{first_line(language)}\n{body}\n".encode()


def from_jupyter(data: bytes) -> tuple[bytes, str]:
    """SOURCE bytes and the language of a Jupyter notebook, cell by cell."""
    notebook = json.loads(data)
    known = notebook.get("metadata", {}).get("application/vnd.databricks.v1+notebook", {})
    language = str(known.get("language", "python")).upper()
    cells = ["".join(cell.get("source", [])) for cell in notebook["cells"]]
    body = f"\n\n{COMMENT[language]} COMMAND ----------\n\n".join(cells)
    return f"{first_line(language)}\n{body}".encode(), language


def jupyter(text: bytes, language: str) -> bytes:
    """The same cells as a Jupyter notebook."""
    separator = f"\n\n{COMMENT[language]} COMMAND ----------\n\n"
    body = text.decode("utf-8", "replace").removeprefix(first_line(language) + "\n")
    cells = [
        {"cell_type": "code", "execution_count": 0, "metadata": {}, "outputs": [], "source": [part]}
        for part in body.split(separator)
    ]
    metadata = {"application/vnd.databricks.v1+notebook": {"language": language.lower()}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 0}).encode()
