"""The audit: a user's own gradient test, run against slips that are planted in the rule under test."""

from backproof.auditing.audit import audit
from backproof.auditing.report import AuditReport, Outcome, PlantedSlip, RuleAudit, Tolerance

__all__ = ["AuditReport", "Outcome", "PlantedSlip", "RuleAudit", "Tolerance", "audit"]
