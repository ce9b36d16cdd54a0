//! Places that are held until they are paid for: people pay beside the driven load, and what became of their money is
//! judged with the rest.

pub mod audit;
pub mod cashier;
