// Checks queries with the vendor's own language service. Standard input: {tables: {name: schema}, queries: {name: text}};
// standard output: {name: [what is wrong]}.
const { createRequire } = require("module");
const packages = createRequire(process.argv[2] + "/");
packages("@kusto/language-service-next/bridge.min.js");
packages("@kusto/language-service-next/Kusto.Language.Bridge.min.js");

const language = Kusto.Language;
const { tables, queries } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const symbols = Object.entries(tables).map(([name, schema]) =>
  language.Symbols.TableSymbol.From(schema).WithName(name),
);
const database = new language.Symbols.DatabaseSymbol.$ctor1("component", symbols);
const globals = language.GlobalState.Default.WithDatabase(database);

const found = {};
for (const [name, text] of Object.entries(queries)) {
  const diagnostics = language.KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  found[name] = [];
  for (let number = 0; number < diagnostics.Count; number++) found[name].push(diagnostics.getItem(number).Message);
}
process.stdout.write(JSON.stringify(found));
