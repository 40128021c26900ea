// The searches of a run: each declared parameter with a common value and with a rare one, the modifiers, usual
// combinations, orders, and pages far from the first.
import { DOCUMENTS_OF_PATIENT } from './search-documents.ts';

export interface SearchedFor {
  name: string;
  /** Below the base: type and query. */
  urlOf(turn: number): string;
}

/** `{n}`: another document each time, `{p}`: its patient. A line that begins with a slash is a path, the others are searches of documents. */
const QUERIES = `
_id=bench-{n}
_lastUpdated=ge2020
_lastUpdated=lt2020
_tag=rare
_security=V
_profile=http://hl7.org/fhir/us/core/StructureDefinition/us-core-documentreference
_profile:below=http://hl7.org/fhir
_source=https://source.example/system/3
_source:below=https://source.example
identifier=urn:muniment:bench|document-{n}
identifier=document-{n},document-1
identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|ACSN|document-{n}
patient=bench-{p}
subject=Patient/bench-{p}
subject=bench-{p}
subject:identifier=urn:muniment:patients|{p}
category=imaging
category=correspondence
category=imaging,correspondence
type=11506-3
type=http://loinc.org|11504-8
type=http://loinc.org|
status=current
status=superseded
status=entered-in-error
status=superseded,entered-in-error
date=2023-05-05
date=ge2024
date=lt2022-02
date=ge2022-03-01&date=lt2022-03-03
date=gt2025-10-30
date=le2022-01-02
date=ap2023
date=ne2023
authenticator=Practitioner/bench-4
author=Practitioner/bench-{a}
author=Device/bench-scanner
author=bench-scanner
contenttype=application/pdf
contenttype=application/dicom
contenttype:below=text/xml
contenttype:below=image
contenttype:below=application
custodian=Organization/bench
description=stable
description=resume imaging
description=nothing at all
description:exact=nothing
encounter=Encounter/bench-{e}
event=visit
event=operation
facility=hospital
facility=practice
format=urn:ihe:pcc:xphr:2007
language=en
language=fr
location=https://archive.example/7/documents/{n}
location:below=https://archive.example/7
location:below=https://archive.example
location:above=https://archive.example/7/documents/7/page/3
period=2023-05-05
period=ge2024
period=gt2025-11
period=lt2022-01-05
period=ap2022-01-03
period=eb2022-01-05
period=sa2025-10-28
related=Observation/bench-399
relatesto=DocumentReference/bench-98
relation=replaces
relationship=replaces$bench-98
security-label=N
security-label=R
setting=setting-7
creation=2023-05-05
creation=ge2024
patient=bench-{p}&category=clinical-note
patient=bench-{p}&type=11506-3&status=current
patient=bench-{p}&status=current&type=11506-3&period=ge2023
patient=bench-{p}&category:not=imaging
patient=bench-{p}&description:contains=card
patient=bench-{p}&type:text=kind
patient=bench-{p}&security-label:missing=true
identifier=document-{n}&category:not=imaging
date=2023-05-05&description:contains=card
type=11506-3&category=clinical-note
type=11504-8&category=correspondence
type=11504-8&status=entered-in-error
category=imaging&date=ge2023-05&date=lt2023-06
type=11506-3&author=Practitioner/bench-7
setting=setting-7&facility=clinic
_sort=_id
_sort=date
_sort=-date
_sort=-date,_id
patient=bench-{p}&_sort=description,-date
category=clinical-note&_sort=-date
category=correspondence&_sort=date
type=11506-3&_sort=_id
status=superseded&_sort=description
date=2023-05-05&_sort=status,-_lastUpdated
_id=bench-{n}&_include=DocumentReference:relatesto&_include=DocumentReference:related
patient=bench-{p}&_include=*
patient=bench-{p}&_revinclude=DocumentReference:relatesto&_revinclude=List:item
patient=bench-{p}&_revinclude=Provenance:target
patient=bench-{p}&_elements=identifier,status
patient=bench-{p}&_summary=true
relatesto.identifier=document-{n}
subject.identifier=urn:muniment:patients|{p}
author.family=nobody
_has:DocumentReference:relatesto:identifier=document-{n}
/Patient/bench-{p}/DocumentReference?_count=20
/Practitioner/bench-{a}/DocumentReference?_count=20
/Device/bench-scanner/DocumentReference?category=imaging
/Encounter/bench-{e}/*?_count=20
/?_type=DocumentReference,Media,List&_count=20
/?_count=20
`;

export function searchQueries(documents: number): SearchedFor[] {
  return QUERIES.trim().split('\n').map((line) => ({
    name: line,
    urlOf(turn) {
      const position = (turn * 7_919) % documents;
      const text = line.replaceAll('{n}', String(position)).replaceAll('{p}', String(Math.floor(position / DOCUMENTS_OF_PATIENT))).replaceAll('{a}', String(position % 200)).replaceAll('{e}', String(Math.floor(position / 3)));
      const [path = '', query = ''] = text.startsWith('/') ? text.slice(1).split('?') : ['DocumentReference', text];
      return `${path}?${query.split('&').map((pair) => { const [name = '', ...value] = pair.split('='); return `${name}=${encodeURIComponent(value.join('='))}`; }).join('&')}`;
    },
  }));
}

