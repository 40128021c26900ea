// Resources of any R4 type, made from the structure tables: valid FHIR JSON in the order of XML, with nasty text in it.
import fc from 'fast-check';
import { JsonNumber, type JsonObject, type JsonValue } from '../../src/fhir/json.ts';
import { structureOf, type ElementRule } from '../../src/fhir/structure.ts';

const DIV = 'xmlns="http://www.w3.org/1999/xhtml"';
const NARRATIVES = [
  `<div ${DIV}/>`, `<div ${DIV}></div>`, `<div ${DIV}>a <b>b</b> <i>c</i>\n  d</div>`, `<div ${DIV}>5&#160;mg &lt; 6&#xA0;mg &amp; "quoted"</div>`,
  `<div ${DIV}><p title='a &quot; b'>x<br/>y</p><!-- kept --></div>`, `<div class="x" ${DIV} xml:lang="de"><table><tr><td>ä 😀</td></tr></table></div>`,
];
const DECIMALS = ['0', '-1', '1.50', '0.010', '1e2', '-0.0', '12345678901234567890.123456789', '1E-7', '100000000000000000000'];

const text = fc.oneof(
  fc.string({ minLength: 1, maxLength: 12 }),
  fc.constantFrom('<&>"\'', 'line\nbreak\ttab\rreturn', ' spaces  kept ', ']]>', '&amp;', '&#160;', 'ä😀\u2028\u0085', 'value="x"', '__proto__', '<!-- -->'),
).filter((value) => !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Cs}/u.test(value));

function primitive(type: string): fc.Arbitrary<JsonValue> {
  switch (type) {
    case 'boolean': return fc.boolean();
    case 'integer': return fc.integer();
    case 'unsignedInt': case 'positiveInt': return fc.integer({ min: 1, max: 2_147_483_647 });
    case 'decimal': return fc.constantFrom(...DECIMALS).map((digits) => (String(Number(digits)) === digits ? Number(digits) : new JsonNumber(digits)));
    case 'xhtml': return fc.constantFrom(...NARRATIVES);
    case 'id': return fc.constantFrom('a', 'A-1.b');
    default: return text;
  }
}

/** An object of that structure; `depth` levels of optional elements. */
function members(type: string, depth: number): fc.Arbitrary<JsonObject> {
  const all = [...structureOf(type).elements.values()];
  const rules = [...all.filter((rule) => rule.attribute), ...all.filter((rule) => !rule.attribute)];
  const chosen = fc.subarray(rules, { minLength: depth > 0 ? 1 : 0, maxLength: Math.min(rules.length, depth > 0 ? 4 : 1) });
  return chosen.chain((some) => {
    const first = some.length > 0 ? some : [rules.find((rule) => rule.primitive !== undefined || rule.name === 'extension') as ElementRule];
    const once = first.filter((rule, at) => rule.choice === undefined || first.findIndex((other) => other.choice === rule.choice) === at);
    return fc.tuple(...once.map((rule) => element(rule, depth - 1))).map((parts) => Object.assign({}, ...parts) as JsonObject);
  });
}

function element(rule: ElementRule, depth: number): fc.Arbitrary<JsonObject> {
  if (rule.type === 'Resource') return depth < 0 ? fc.constant({}) : repeated(rule, fc.constantFrom('Media', 'Binary', 'Patient', 'OperationOutcome').chain((type) => resource(type, depth - 1)));
  if (rule.primitive === undefined) return depth < -2 ? fc.constant(leaf(rule)) : repeated(rule, members(rule.type, depth));
  if (rule.type === 'xhtml' || rule.attribute || (rule.name === 'id' && rule.type === 'id')) return primitive(rule.type).map((value) => ({ [rule.name]: value }));
  const companion = depth < 0 ? fc.constantFrom<JsonObject>({ id: 'i' }, { extension: [{ url: 'urn:a', valueDecimal: new JsonNumber('1.0') }] }) : members('Element', depth - 1);
  if (!rule.many) {
    return fc.tuple(fc.option(primitive(rule.type), { freq: 5 }), fc.option(companion, { freq: 2 })).map(([value, beside]): JsonObject => ({
      ...(value === null && beside !== null ? {} : { [rule.name]: value ?? fallback(rule.type) }), ...(beside === null ? {} : { [rule.companion]: beside }),
    }));
  }
  return fc.array(fc.tuple(fc.option(primitive(rule.type), { freq: 4 }), fc.option(companion, { freq: 2 })), { minLength: 1, maxLength: 3 }).map((items): JsonObject => {
    const whole = items.map(([value, beside]): [JsonValue, JsonValue] => [value ?? (beside === null ? fallback(rule.type) : null), beside]);
    const [values, besides] = [whole.map(([value]) => value), whole.map(([, beside]) => beside)];
    return {
      ...(values.every((one) => one === null) ? {} : { [rule.name]: values }), ...(besides.every((one) => one === null) ? {} : { [rule.companion]: besides }),
    };
  });
}

function fallback(type: string): JsonValue {
  return type === 'boolean' ? true : ['integer', 'unsignedInt', 'positiveInt', 'decimal'].includes(type) ? 1 : 'x';
}

function leaf(rule: ElementRule): JsonObject {
  const object = rule.type === 'Extension' ? { url: 'urn:leaf' } : { extension: [{ url: 'urn:leaf', valueCode: 'x' }] };
  return { [rule.name]: rule.many ? [object] : object };
}

function repeated(rule: ElementRule, item: fc.Arbitrary<JsonObject>): fc.Arbitrary<JsonObject> {
  return rule.many ? fc.array(item, { minLength: 1, maxLength: 2 }).map((items) => ({ [rule.name]: items })) : item.map((one) => ({ [rule.name]: one }));
}

/** A resource of that type; not everything mandatory is there. */
export function resource(type: string, depth = 4): fc.Arbitrary<JsonObject> {
  return members(type, depth).map((object) => ({ resourceType: type, ...object }));
}
