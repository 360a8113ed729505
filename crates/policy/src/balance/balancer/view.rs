//! What of a balancer's endpoints can be used at one moment.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Ask;
use super::layout::{GroupLayout, Layout, Level, Table};
use crate::balance::draws::{Draws, mix};
use crate::balance::priority::{self, Health};
use crate::balance::round_robin::Schedule;
use crate::balance::weighted::Weighted;
use crate::balance::{learned, least_request, peak_ewma};
use crate::destination::rule::SimpleLoadBalancer;

/// So often a choice is made anew that fell on an endpoint that was tried.
const ATTEMPTS: usize = 8;
/// So many turns are passed over at most for endpoints that warm up.
const PASSED_OVER: usize = 32;
/// So many places of a table are looked at for one that can be used.
const PLACES: usize = 64;

/// Endpoints that can be used, by priority.
#[derive(Debug)]
pub(super) struct View {
    pub(super) priorities: Box<[Arc<Priority>]>,
    pub(super) healthy: usize,
    /// The sums of load, per cent, up to each priority.
    sums: Box<[u64]>,
}

/// What can be used of a priority.
#[derive(Debug)]
pub(super) struct Priority {
    /// Whether all endpoints are used because too few are healthy.
    pub(super) panics: bool,
    health: Health,
    groups: Box<[Group]>,
    /// Which group is next.
    shares: Weighted,
    /// For consistent hashing: the endpoints as the table numbers them, and which can be used.
    places: Box<[(u32, bool)]>,
}

/// What can be used of a group.
#[derive(Debug)]
struct Group {
    members: Box<[u32]>,
    order: Order,
    warm_until: Duration,
    /// For `LEARNED`: which endpoints are members, by bit.
    usable: Box<[u64]>,
}

#[derive(Debug)]
enum Order {
    Turns(Schedule),
    Shares(Weighted),
}

impl View {
    pub(super) fn new(layout: &Layout, ejected: &[bool]) -> View {
        let all = vec![None; layout.levels.len()];
        View::build(layout, ejected, &all)
    }

    /// The view after endpoints of these priorities have changed. What is the same as before is shared.
    pub(super) fn update(&self, layout: &Layout, ejected: &[bool], changed: &[usize]) -> View {
        let kept = self.priorities.iter().enumerate();
        let kept = kept.map(|(at, priority)| (!changed.contains(&at)).then(|| priority.clone()));
        View::build(layout, ejected, &kept.collect::<Vec<_>>())
    }

    fn build(layout: &Layout, ejected: &[bool], kept: &[Option<Arc<Priority>>]) -> View {
        let is_healthy = |index: u32| layout.healthy[index as usize] && !ejected[index as usize];
        let levels = layout.levels.iter().zip(kept);
        let health: Vec<Health> = levels
            .clone()
            .map(|(level, kept)| match kept {
                Some(kept) => kept.health,
                None => level.groups.iter().fold(Health::default(), |sum, group| {
                    let health = health(&group.members, is_healthy);
                    Health { usable: sum.usable + health.usable, total: sum.total + health.total }
                }),
            })
            .collect();
        let loads = priority::share(&health, layout.panic_percent);
        let priorities = levels.zip(&health).zip(&loads.panic).map(
            |(((level, kept), health), panics)| match kept {
                Some(kept) if kept.panics == *panics => kept.clone(),
                _ => Arc::new(Priority::new(layout, level, *health, *panics, is_healthy)),
            },
        );
        let sums = loads.percent.iter().scan(0, |sum, percent| {
            *sum += percent;
            Some(*sum)
        });
        View {
            priorities: priorities.collect(),
            healthy: health.iter().map(|health| health.usable as usize).sum(),
            sums: sums.collect(),
        }
    }

    /// The priority for a random number.
    pub(super) fn priority(&self, random: u64, avoid: u64) -> Option<usize> {
        let place = ((u128::from(random) * 100) >> 64) as u64;
        let found = self.sums.iter().position(|sum| place < *sum)?;
        let is_avoided = |at: usize| at < 64 && avoid & (1 << at) != 0;
        if !is_avoided(found) {
            return Some(found);
        }
        let has_any = |at: &usize| self.priorities[*at].members().next().is_some();
        let mut others = (0..self.priorities.len()).filter(|at| !is_avoided(*at));
        Some(others.find(has_any).unwrap_or(found))
    }

    /// All endpoints that can be used, those of the given priority first or, with `stays`, alone, each group from a random one on.
    pub(super) fn usable(
        &self,
        first: usize,
        random: u64,
        stays: bool,
    ) -> impl Iterator<Item = u32> {
        let others = if stays { 0 } else { self.priorities.len() };
        let others = (0..others).filter(move |at| *at != first);
        std::iter::once(first).chain(others).flat_map(move |at| self.priorities[at].from(random))
    }
}

fn health(members: &[u32], is_healthy: impl Fn(u32) -> bool) -> Health {
    let usable = members.iter().filter(|index| is_healthy(**index)).count();
    Health { usable: usable as u64, total: members.len() as u64 }
}

impl Priority {
    fn new(
        layout: &Layout,
        level: &Level,
        health: Health,
        panics: bool,
        is_healthy: impl Fn(u32) -> bool + Copy,
    ) -> Priority {
        let is_usable = |index: u32| panics || is_healthy(index);
        let weight = |group: &GroupLayout| {
            let health = self::health(&group.members, is_usable);
            (u64::from(group.weight) * health.availability() / 100) as u32
        };
        let places = level.table.iter().flat_map(|_| &level.groups).flat_map(|it| &it.members);
        Priority {
            panics,
            health,
            shares: Weighted::new(&level.groups.iter().map(weight).collect::<Vec<u32>>()),
            groups: level.groups.iter().map(|it| Group::new(layout, it, is_usable)).collect(),
            places: places.map(|index| (*index, is_usable(*index))).collect(),
        }
    }

    /// A group by its share, and who of it can be used.
    pub(super) fn group(&self, draws: &mut Draws) -> Option<(usize, &[u32])> {
        let group = self.shares.pick(draws)?;
        Some((group, &self.groups[group].members))
    }

    fn members(&self) -> impl Iterator<Item = u32> {
        self.groups.iter().flat_map(|group| group.members.iter().copied())
    }

    fn from(&self, random: u64) -> impl Iterator<Item = u32> {
        self.groups.iter().flat_map(move |group| {
            let start = Draws::new(random).below(group.members.len() as u64) as usize;
            let (before, behind) = group.members.split_at(start);
            behind.iter().chain(before).copied()
        })
    }
}

impl Group {
    fn new(layout: &Layout, group: &GroupLayout, is_usable: impl Fn(u32) -> bool) -> Group {
        let members = group.members.iter().copied().filter(|index| is_usable(*index));
        let members: Box<[u32]> = members.collect();
        let weights = members.iter().map(|index| layout.weights[*index as usize]);
        let weights: Vec<u32> = weights.collect();
        let order = match layout.simple {
            Some(
                SimpleLoadBalancer::LeastRequest
                | SimpleLoadBalancer::PeakEwma
                | SimpleLoadBalancer::Learned
                | SimpleLoadBalancer::Random,
            ) => Order::Shares(Weighted::new(&weights)),
            Some(SimpleLoadBalancer::RoundRobin | SimpleLoadBalancer::Passthrough) => {
                Order::Turns(Schedule::new(&weights))
            }
            // The table has the order; this is for keys that find none in it.
            None => Order::Shares(Weighted::new(&weights)),
        };
        let usable = match layout.simple {
            Some(SimpleLoadBalancer::Learned) => bits(&members),
            _ => Box::default(),
        };
        Group { warm_until: layout.warm_until(&members), members, order, usable }
    }

    fn has(&self, index: u32) -> bool {
        let word = self.usable.get(index as usize / 64).copied().unwrap_or_default();
        word & (1 << (index % 64)) != 0
    }
}

/// A set of indices.
fn bits(members: &[u32]) -> Box<[u64]> {
    let length = members.iter().max().map_or(0, |last| *last as usize / 64 + 1);
    let mut bits = vec![0; length];
    members.iter().for_each(|index| bits[*index as usize / 64] |= 1 << (index % 64));
    bits.into()
}

/// A choice that is being made.
pub(super) struct Choice<'a> {
    pub(super) layout: &'a Layout,
    pub(super) ask: &'a Ask,
    pub(super) key: u64,
    pub(super) draws: Draws,
}

impl Choice<'_> {
    /// An endpoint of the priority that was not tried; `None` if none came up.
    pub(super) fn make(
        &mut self,
        at: usize,
        priority: &Priority,
        load: &impl Fn(usize) -> u32,
        is_tried: &impl Fn(usize) -> bool,
    ) -> Option<usize> {
        if let Some(table) = &self.layout.levels[at].table {
            return self.by_table(table, priority, is_tried);
        }
        for _ in 0..ATTEMPTS {
            let group = priority.shares.pick(&mut self.draws)?;
            let found = self.of_group((at, group), &priority.groups[group], load, is_tried);
            match found.map(|index| index as usize) {
                Some(index) if !is_tried(index) => return Some(index),
                _ => {}
            }
        }
        None
    }

    fn by_table(
        &self,
        table: &Table,
        priority: &Priority,
        is_tried: &impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let can_be = |owner: usize| {
            let (index, is_usable) = *priority.places.get(owner)?;
            (is_usable && !is_tried(index as usize)).then_some(index as usize)
        };
        let found = match table {
            Table::Ring(ring) => ring.walk(self.key).take(PLACES).find_map(can_be),
            Table::Maglev(maglev) => maglev.walk(self.key).take(PLACES).find_map(can_be),
        };
        // Where next to none can be used, the key chooses among those few.
        found.or_else(|| {
            let mut usable = priority.from(mix(self.key)).map(|index| index as usize);
            usable.find(|index| !is_tried(*index))
        })
    }

    fn of_group(
        &mut self,
        (level, number): (usize, usize),
        group: &Group,
        load: &impl Fn(usize) -> u32,
        is_tried: &impl Fn(usize) -> bool,
    ) -> Option<u32> {
        let is_warming = self.ask.now < group.warm_until;
        let shares = match &group.order {
            Order::Turns(schedule) => {
                let layout = &self.layout.levels[level].groups[number];
                return self.by_turn(schedule, group, layout, is_warming);
            }
            Order::Shares(shares) => shares,
        };
        let (all, now) = (self.layout, self.ask.now);
        let load = |place: usize| load(group.members[place] as usize);
        let share = |place: usize| all.share(group.members[place], now);
        let place = match (all.simple, &all.learning) {
            (Some(SimpleLoadBalancer::LeastRequest), _) => {
                least_request::pick(shares, is_warming, &mut self.draws, load, share)
            }
            (Some(SimpleLoadBalancer::PeakEwma), Some(learning)) => {
                let peak = |place: usize| learning.observed(group.members[place]).peak(now);
                peak_ewma::pick(shares, &mut self.draws, load, peak, share)
            }
            (Some(SimpleLoadBalancer::Learned), Some(learning)) => {
                let pool = learning.pool(level, number);
                let observed = |index: u32| learning.observed(index);
                let is_usable = |index: u32| group.has(index) && !is_tried(index as usize);
                let weight = |index: u32| {
                    f64::from(all.weights[index as usize].max(1)) * all.share(index, now)
                };
                let best = pool.and_then(|pool| {
                    learned::pick(pool, now, &mut self.draws, observed, is_usable, weight)
                });
                if best.is_some() {
                    return best;
                }
                let draw = || {
                    let draws = &mut self.draws;
                    let place = least_request::pick(shares, is_warming, draws, load, share)?;
                    Some(group.members[place])
                };
                return learned::not_avoided(draw, observed, now);
            }
            _ => shares.pick(&mut self.draws),
        };
        place.map(|place| group.members[place])
    }

    /// The next in turn. One that warms up lets a part of its turns go by.
    fn by_turn(
        &mut self,
        schedule: &Schedule,
        group: &Group,
        layout: &GroupLayout,
        is_warming: bool,
    ) -> Option<u32> {
        let next = || {
            let place = schedule.pick(layout.turn.fetch_add(1, Ordering::Relaxed))?;
            Some(group.members[place])
        };
        if !is_warming {
            return next();
        }
        let mut found = None;
        for _ in 0..PASSED_OVER {
            let index = next()?;
            found = Some(index);
            if self.draws.unit() < self.layout.share(index, self.ask.now) {
                break;
            }
        }
        found
    }
}
