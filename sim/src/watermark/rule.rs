//! The rule, sentence by sentence. Each can be left out, to show that it is needed.

/// A sentence of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Sentence {
    /// An owner raises P to the bound of a round before it lists.
    SealBeforeListing,
    /// At or under P writes and hints are refused.
    RefuseSealed,
    /// So they are for keys of which an older version is held.
    RefuseSealedForKnownKeys,
    /// An eviction above S leaves a ghost.
    EvictionLeavesGhost,
    /// A ghost blocks older writes.
    GhostBlocksOlder,
    /// Ghosts are listed, as what is held is.
    GhostsAreListed,
    /// A ghost that is pulled removes an older value.
    GhostRemovesOlder,
    /// At or under K nothing is installed any more, late answers to pulls and write-backs included.
    NothingInstalledAtConfirmed,
    /// S is raised only once every owner has confirmed.
    EveryOwnerConfirms,
    /// Lists and confirmations of different generations are not counted together.
    OneGenerationVector,
    /// An owner that has adopted a new generation since does not settle any more what others confirmed before.
    SettleUnderPresentVector,
    /// Tombstones and ghosts are kept until S has passed them; until then K is not enough.
    MarkersUntilSettled,
    /// An answer at or under the S of another, from an owner whose K is below that, is discarded.
    DiscardUnconfirmedAnswers,
    /// Who rebuilds takes over the largest P before it takes any write.
    RebuilderTakesSealed,
    /// It takes over the largest S, too, for its own K and S.
    RebuilderTakesSettled,
    /// It pulls ghosts, too.
    RebuilderPullsGhosts,
    /// It neither lists nor confirms until it is rebuilt.
    RebuiltBeforeRounds,
    /// A new generation is adopted before its rebuild is answered.
    AdoptBeforeAnswer,
    /// A change of a TTL whose value was confirmed is installed only over that value; elsewhere it leaves a ghost.
    TouchNeedsItsValue,
    /// An expired marker stands where its expiry is, not where its value was written.
    MarkerStandsAtExpiry,
    /// A write counts as refused for good only when every owner has refused it.
    EveryOwnerRefuses,
    /// The refusal of an owner that may have met the write before proves nothing.
    FirstRefusalCounts,
}

impl Sentence {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::SealBeforeListing,
        Self::RefuseSealed,
        Self::RefuseSealedForKnownKeys,
        Self::EvictionLeavesGhost,
        Self::GhostBlocksOlder,
        Self::GhostsAreListed,
        Self::GhostRemovesOlder,
        Self::NothingInstalledAtConfirmed,
        Self::EveryOwnerConfirms,
        Self::OneGenerationVector,
        Self::SettleUnderPresentVector,
        Self::MarkersUntilSettled,
        Self::DiscardUnconfirmedAnswers,
        Self::RebuilderTakesSealed,
        Self::RebuilderTakesSettled,
        Self::RebuilderPullsGhosts,
        Self::RebuiltBeforeRounds,
        Self::AdoptBeforeAnswer,
        Self::TouchNeedsItsValue,
        Self::MarkerStandsAtExpiry,
        Self::EveryOwnerRefuses,
        Self::FirstRefusalCounts,
    ];
}

/// The sentences that hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule(u32);

impl Rule {
    /// The whole rule.
    pub const WHOLE: Self = Self(u32::MAX);

    /// This rule without one sentence.
    #[must_use]
    pub fn without(self, sentence: Sentence) -> Self {
        Self(self.0 & !(1 << sentence as u8))
    }

    /// Whether `sentence` holds.
    #[must_use]
    pub fn has(self, sentence: Sentence) -> bool {
        self.0 & (1 << sentence as u8) != 0
    }
}
