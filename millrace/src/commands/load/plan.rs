//! What is ordered. Every order follows from its index and the seed, so that sending it again is
//! sending the same order under the same key.

use clap::ValueEnum;
use contracts_grpc::v1;

/// Customers that take turns.
pub(super) const CUSTOMERS: u64 = 100;
/// The weight of the most wanted SKU of a Zipf mix; the others get a share of it.
const ZIPF_SCALE: u64 = 1 << 32;

/// Which SKUs are wanted how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mix {
    /// All SKUs alike.
    Uniform,
    /// The k-th SKU 1/k as often as the first.
    Zipf,
    /// One unit of one SKU in every order.
    Flash,
}

impl Mix {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
            Self::Flash => "flash",
        }
    }
}

/// Spreads the bits of `x`: the finalizer of `SplitMix64`.
const fn spread(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number below `bound` that follows from `bits`.
fn below(bits: u64, bound: u64) -> u64 {
    let product = u128::from(bits).wrapping_mul(u128::from(bound)) >> 64;
    u64::try_from(product).unwrap_or(0)
}

/// The orders of one run.
pub(super) struct Plan {
    /// Distinguishes this run's products and customers from those of other runs.
    run: String,
    seed: u64,
    mix: Mix,
    skus: u64,
    lines: u64,
    /// Digits of a SKU's number, the same for all, so that all bodies have one length.
    width: usize,
    /// Of a Zipf mix: the sum of the weights up to each SKU.
    weights: Vec<u64>,
}

impl Plan {
    pub(super) fn new(run: String, seed: u64, mix: Mix, skus: u64, lines: u64) -> Self {
        let (skus, lines) = if mix == Mix::Flash { (1, 1) } else { (skus, lines) };
        let mut weights = Vec::new();
        if mix == Mix::Zipf {
            weights.extend((1..=skus).scan(0_u64, |sum, place| {
                *sum = sum.saturating_add(ZIPF_SCALE.div_euclid(place).max(1));
                Some(*sum)
            }));
        }
        let width = skus.to_string().len().max(5);
        Self { run, seed, mix, skus, lines, width, weights }
    }

    pub(super) fn mix(&self) -> Mix {
        self.mix
    }

    pub(super) fn skus(&self) -> u64 {
        self.skus
    }

    pub(super) fn sku(&self, number: u64) -> String {
        format!("load-{}-{number:0width$}", self.run, width = self.width)
    }

    pub(super) fn customer(&self, number: u64) -> String {
        format!("load-{}-c{number:03}", self.run)
    }

    /// The SKU of a line, from 1.
    fn drawn(&self, order: u64, line: u64) -> u64 {
        let bits = spread(spread(self.seed ^ order).wrapping_add(line));
        let Some(total) = self.weights.last() else {
            return below(bits, self.skus).saturating_add(1);
        };
        let place = below(bits, *total);
        let index = self.weights.partition_point(|sum| *sum <= place);
        u64::try_from(index).unwrap_or(0).saturating_add(1)
    }

    /// The 128 bits of an order's key. Keys are as random as those of real callers.
    fn key_bits(&self, order: u64) -> (u64, u64) {
        let run = self.run.bytes().fold(self.seed, |bits, byte| spread(bits ^ u64::from(byte)));
        let high = spread(run ^ order);
        (high, spread(high.wrapping_add(run)))
    }

    pub(super) fn key(&self, order: u64) -> String {
        let (high, low) = self.key_bits(order);
        format!("{high:016x}{low:016x}")
    }

    /// Appends the order's key: 32 hexadecimal digits.
    pub(super) fn write_key(&self, order: u64, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let (high, low) = self.key_bits(order);
        for half in [high, low] {
            for shift in (0..16_u32).rev() {
                let digit = usize::try_from((half >> (shift * 4)) & 0xf).unwrap_or(0);
                out.push(DIGITS[digit]);
            }
        }
    }

    /// Appends the order as JSON: the body of a single request.
    pub(super) fn write_order(&self, order: u64, out: &mut Vec<u8>) {
        out.push(b'{');
        self.write_members(order, out);
        out.push(b'}');
    }

    /// Appends the order with its key as a line of NDJSON.
    pub(super) fn write_line(&self, order: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"idempotencyKey\":\"");
        self.write_key(order, out);
        out.extend_from_slice(b"\",");
        self.write_members(order, out);
        out.extend_from_slice(b"}\n");
    }

    fn write_members(&self, order: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"customerId\":\"load-");
        out.extend_from_slice(self.run.as_bytes());
        out.extend_from_slice(b"-c");
        write_padded(order.rem_euclid(CUSTOMERS), 3, out);
        out.extend_from_slice(b"\",\"lines\":[");
        for line in 0..self.lines {
            if line > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"sku\":\"load-");
            out.extend_from_slice(self.run.as_bytes());
            out.push(b'-');
            write_padded(self.drawn(order, line), self.width, out);
            out.extend_from_slice(b"\",\"quantity\":1}");
        }
        out.push(b']');
    }

    /// The order as a gRPC request.
    pub(super) fn request(&self, order: u64) -> v1::PlaceOrderRequest {
        let line = |line| v1::NewLine {
            sku: self.sku(self.drawn(order, line)),
            quantity: 1,
            shortage_policy: 0,
        };
        v1::PlaceOrderRequest {
            idempotency_key: self.key(order),
            customer_id: self.customer(order.rem_euclid(CUSTOMERS)),
            lines: (0..self.lines).map(line).collect(),
            ..v1::PlaceOrderRequest::default()
        }
    }
}

fn write_padded(mut number: u64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    for _ in 0..width {
        out.push(b'0' + u8::try_from(number.rem_euclid(10)).unwrap_or(0));
        number = number.div_euclid(10);
    }
    out[start..].reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(mix: Mix) -> Plan {
        Plan::new("abc".to_owned(), 7, mix, 10_000, 2)
    }

    #[test]
    fn every_body_of_a_run_has_one_length_and_is_json() {
        for mix in [Mix::Uniform, Mix::Zipf, Mix::Flash] {
            let plan = plan(mix);
            let mut lengths = Vec::new();
            for order in 0..1_000 {
                let (mut body, mut line) = (Vec::new(), Vec::new());
                plan.write_order(order, &mut body);
                plan.write_line(order, &mut line);
                let document: serde_json::Value = serde_json::from_slice(&line).unwrap();
                assert_eq!(document["idempotencyKey"], plan.key(order));
                let request = plan.request(order);
                assert_eq!(document["lines"][0]["sku"], request.lines[0].sku.as_str());
                assert_eq!(document["customerId"], request.customer_id.as_str());
                lengths.push((body.len(), line.len()));
            }
            lengths.dedup();
            assert_eq!(lengths.len(), 1, "{mix:?}");
        }
    }

    #[test]
    fn keys_are_unique_and_have_32_digits() {
        let plan = plan(Mix::Uniform);
        let keys: std::collections::HashSet<_> = (0..10_000).map(|order| plan.key(order)).collect();
        assert_eq!(keys.len(), 10_000);
        assert!(keys.iter().all(|key| key.len() == 32));
    }

    #[test]
    fn a_mix_draws_as_it_says() {
        let count = |mix| {
            let plan = plan(mix);
            let mut counts = vec![0_u32; 10_001];
            for order in 0..100_000 {
                counts[usize::try_from(plan.drawn(order, 0)).unwrap()] += 1;
            }
            counts
        };
        assert!(count(Mix::Uniform)[1..].iter().all(|seen| *seen < 40));
        let zipf = count(Mix::Zipf);
        // 1/H(10,000) is 10.2 %; the tenth SKU gets a tenth of that.
        assert!((9_700..10_700).contains(&zipf[1]), "{}", zipf[1]);
        assert!((900..1_150).contains(&zipf[10]), "{}", zipf[10]);
        assert_eq!(count(Mix::Flash)[1], 100_000);
    }
}
