// Lanes of the outbox: they never wait for each other. What people wrote, and what was derived from it (thumbnails).

export const LANES = { clinical: 1, derived: 2 } as const;
