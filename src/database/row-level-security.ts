// The second wall: every table whose key begins with the organisation is closed to the application role but for
// rows of the organisation that the transaction named. A transaction that named none reads an error, never a row.

const OWN_ORG = `org = (select current_setting('app.org')::int)`;

export interface TableAccess {
  app: string;
  worker?: string;
  /** The audit writer may insert rows of any organisation and read none. */
  auditInsert?: boolean;
}

/** The statements that force row-level security on `table` and grant what each role needs. */
export function secureTable(table: string, access: TableAccess): string {
  const worker = access.worker === undefined ? '' : `
    grant ${access.worker} on ${table} to muniment_worker;
    create policy worker_everything on ${table} to muniment_worker using (true) with check (true);`;
  const audit = access.auditInsert === true ? `
    grant insert on ${table} to muniment_audit;
    create policy audit_insert on ${table} for insert to muniment_audit with check (true);` : '';
  return `
    alter table ${table} enable row level security;
    alter table ${table} force row level security;
    grant ${access.app} on ${table} to muniment_app;
    create policy own_organisation on ${table} to muniment_app using (${OWN_ORG}) with check (${OWN_ORG});
    ${worker}${audit}`;
}
