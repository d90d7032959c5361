"use strict";

// Masks what comes on standard input as one JSON list, as the collectors of Node do.
const path = require("node:path");

const SOURCE = path.join(__dirname, "..", "..", "node", "src");
const { Redactor } = require(path.join(SOURCE, "collectors", "redact.js"));
const { rulesOf } = require(
  path.join(SOURCE, "collectors", "redaction-rules.js"),
);
const { readExpression } = require(
  path.join(SOURCE, "collectors", "expression.js"),
);
const { Masking } = require(path.join(SOURCE, "delivery", "masking.js"));
const { encodeEntry } = require(path.join(SOURCE, "delivery", "values.js"));

const isSound = (expression) => {
  try {
    readExpression(expression, "x");
    return true;
  } catch {
    return false;
  }
};

let given = "";
process.stdin.on("data", (chunk) => (given += chunk));
process.stdin.on("end", () => {
  const { texts, entries, settings, expressions } = JSON.parse(given);
  const rules = rulesOf(settings);
  const redactor = new Redactor(rules);
  const masking = new Masking(rules);
  const answer = {
    texts: texts.map((text) => redactor.masked(text)),
    counts: redactor.redactedBy,
    entries: entries.map((entry) =>
      JSON.parse(encodeEntry(entry, "1", masking)),
    ),
    entryCounts: masking.redactedBy,
    sound: expressions.map(isSound),
  };
  process.stdout.write(JSON.stringify(answer));
});
