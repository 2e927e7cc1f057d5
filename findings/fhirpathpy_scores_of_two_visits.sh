#!/usr/bin/env bash
# fhirpathpy 2.2.4, beside fhirpath.js 5.2.2: erosion scores in FHIR observations, compared and rounded by FHIRPath.
#
# Guess: a list equals another if all their elements do, in order; and round gives the nearer number, the upper one for a
#        half, as the specification of FHIRPath says for both ("traditional" rounding). So the two libraries agree.
# Seen:  fhirpathpy compares the lengths and the first elements. Two visits of a wrist have the same scores if their first
#        joints do: of 200 pairs of visits with a new erosion it finds 37, and != is wrong in the same way. A half is
#        rounded to the even neighbour: the mean of two readers who say 0 and 1 becomes 0, of 2 and 3 becomes 2, and of 1
#        and 2 also 2; a joint space of 0.25 mm becomes 0.2. fhirpath.js is right in all of it. Compare element by
#        element, and round in Python: Decimal.quantize(..., ROUND_HALF_UP).
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet fhirpathpy==2.2.4
echo '{"private": true}' > package.json
npm install --silent --no-audit --no-fund fhirpath@5.2.2
cat > evaluate.js <<'JAVASCRIPT'
const fhirpath = require('fhirpath');
const model = require('fhirpath/fhir-context/r4');
const tasks = JSON.parse(require('fs').readFileSync('tasks.json'));
console.log(JSON.stringify(tasks.map(([resource, expression]) => fhirpath.evaluate(resource, expression, {}, model)[0])));
JAVASCRIPT
cat > visits.py <<'PYTHON'
import json
import random
import subprocess
import sys
from decimal import ROUND_HALF_UP, Decimal
from importlib.metadata import version

from fhirpathpy import evaluate
from fhirpathpy.models import models

JOINTS = ("radius", "ulna", "scaphoid", "lunate", "trapezium", "first metacarpal")
NUMBERS = ((0, "0.5"), (0, "1.5"), (0, "2.5"), (0, "3.5"), (1, "0.25"), (1, "0.35"), (2, "1.125"))


def visit(scores):
    return {"resource": {"resourceType": "Observation", "status": "final", "code": {"text": "Erosion scores"}, "component": [
        {"code": {"text": joint}, "valueInteger": score} for joint, score in zip(JOINTS, scores)]}}


def both(tasks):
    """First result of each expression on each resource, by fhirpathpy and by fhirpath.js."""
    with open("tasks.json", "w") as file:
        json.dump(tasks, file)
    other = json.loads(subprocess.run(["node", "evaluate.js"], check=True, capture_output=True, text=True).stdout)
    return [evaluate(resource, expression, {}, models["r4"])[0] for resource, expression in tasks], other


print("fhirpathpy", version("fhirpathpy"))
draw = random.Random(0)
pairs = []
while len(pairs) < 200:
    before = [draw.choice((0, 0, 0, 1, 2)) for _ in JOINTS]
    after = [min(score + (draw.random() < 0.15), 5) for score in before]
    if after != before:
        pairs.append((before, after))
bundles = [{"resourceType": "Bundle", "type": "collection", "entry": [visit(scores) for scores in pair]} for pair in pairs]
scores = "entry[{}].resource.component.value".format
tasks = [(bundle, f"{scores(0)} {sign} {scores(1)}") for sign in ("=", "!=") for bundle in bundles]
seen, other = both(tasks)
first = [before[0] != after[0] for before, after in pairs]
print(f"pairs of visits that differ: {len(pairs)}; found by fhirpath.js {sum(other[200:])}, by fhirpathpy {sum(seen[200:])}, "
      f"with another score of the first joint {sum(first)}")
same = other == [False] * 200 + [True] * 200 and seen == [not changed for changed in first] + first
resource = visit([0])["resource"]
seen, other = both([(resource, f"({number}).round({places})") for places, number in NUMBERS])
for (places, number), value, by_js in zip(NUMBERS, seen, other):
    expected = Decimal(number).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    print(f"{number} rounded to {places} places: expected {expected}, fhirpath.js {by_js}, fhirpathpy {value}")
    same &= float(expected) == by_js and float(value) == float(round(Decimal(number), places))
same &= sum(float(value) != by_js for value, by_js in zip(seen, other)) >= 3
print("as described" if same else "changed")
sys.exit(not same)
PYTHON
env/bin/python -W ignore visits.py
