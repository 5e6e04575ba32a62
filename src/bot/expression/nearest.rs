//! The nearest known name to one that is not known.

/// The candidate closest to `wanted`, if it is close enough to be a slip of the keyboard.
///
/// At most a third of the letters may differ; letter case does not count as a difference.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.len() > LONGEST {
        return None;
    }
    let lower = wanted.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= 1.max(candidate.chars().count().max(lower.len()) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Longer names are not compared: the distance costs the product of both lengths.
const LONGEST: usize = 64;
