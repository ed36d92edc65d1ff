//! Raw configuration to the plan.
