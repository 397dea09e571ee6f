-- The native API lists the jobs of all dialects, newest first within a tenant.
CREATE INDEX jobs_of_tenant ON jobs (tenant_id, created_at DESC, id DESC)
    WHERE queue <> 'interactive';
