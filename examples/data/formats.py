"""Writes the records of planes.csv in two other formats: python3 formats.py planes.csv planes.jsonl planes.resp

Same records, same order, every field. JSON: what is all digits is a number, what is not known is an empty text. RESP: the commands that
`panpipe import planes.csv --header hset --keyspace plane --key tailnum` makes of the table.
"""

import csv
import json
import sys

table, lines, commands = sys.argv[1:]


def bulk(word):
    data = word.encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


with (
    open(table, newline="", encoding="utf-8") as source,
    open(lines, "w", newline="\n", encoding="utf-8") as as_json,
    open(commands, "wb") as as_resp,
):
    for record in csv.DictReader(source):
        typed = {name: int(value) if value.isdigit() else value for name, value in record.items()}
        as_json.write(json.dumps(typed, separators=(",", ":")) + "\n")
        words = ["HSET", "plane:" + record["tailnum"]]
        for name, value in record.items():
            words += [name, value]
        as_resp.write(b"*%d\r\n" % len(words) + b"".join(map(bulk, words)))
